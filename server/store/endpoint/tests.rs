use std::sync::Arc;

use crate::{
    configure::NewEndpoint,
    fixture::{Fixture, TENANT, settings, twins},
    model::{DeliveryPolicy, EndpointSettings},
};

#[tokio::test]
async fn endpoints_that_are_loaded_share_what_they_have_alike() {
    let fixture = Fixture::new().await;
    let mut keys = Vec::new();
    for max_in_flight in [8, 8, 9] {
        let policy = DeliveryPolicy { max_in_flight, ..DeliveryPolicy::default() };
        let settings = EndpointSettings { policy: policy.into(), ..settings() };
        let new = NewEndpoint {
            settings,
            disabled: false,
            secrets: Vec::new(),
            headers: Vec::new(),
            credentials: Default::default(),
        };
        keys.push(fixture.configurator.create_endpoint(TENANT, new).await.unwrap().0);
    }
    let fixture = fixture.reopened().await;
    let loaded: Vec<_> = keys.iter().map(|made| fixture.shared.routes.endpoint(made.key).unwrap()).collect();
    for (made, loaded) in keys.iter().zip(&loaded) {
        assert_eq!(&loaded.endpoint, made);
        let (secret, scheme) = (&loaded.secrets[0], &loaded.endpoint.settings.style.schemes()[0]);
        assert!(Arc::ptr_eq(&secret.scheme, &scheme.name));
        assert_eq!(loaded.secrets.capacity(), 1);
    }
    assert!(Arc::ptr_eq(&loaded[0].endpoint.backlog, &loaded[2].endpoint.backlog));
    let policy = |index: usize| &loaded[index].endpoint.settings.policy;
    assert!(Arc::ptr_eq(policy(0), policy(1)) && !Arc::ptr_eq(policy(0), policy(2)));
    let scheme = |index: usize| &loaded[index].endpoint.settings.style.schemes()[0].name;
    assert!(Arc::ptr_eq(scheme(0), scheme(1)) && Arc::ptr_eq(scheme(0), scheme(2)));
}

twins!("tests.rs", [endpoints_that_are_loaded_share_what_they_have_alike]);
