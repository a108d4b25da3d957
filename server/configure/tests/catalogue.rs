use crate::{
    audit::Change,
    configure::{EventTypePatch, Imported, TenantPatch},
    fixture::{Fixture, OTHER_TENANT, TENANT, twins},
    model::{Actor, EventTypeSettings, NewEvent, SchemaCheck, schema::Schema},
    publish::{self, Verdict, Warning},
    repeat::Call,
    store,
};

fn settings(name: &str, schema: &str) -> EventTypeSettings {
    EventTypeSettings {
        name: name.to_owned(),
        description: String::new(),
        schema: Some(Schema::compile(schema).unwrap().into()),
        deprecated: false,
    }
}

impl Fixture {
    /// What becomes of an event `a` of the tenant's with this payload.
    async fn verdict(&self, payload: &'static str) -> Verdict {
        let event = NewEvent {
            tenant: TENANT,
            id: None,
            event_type: "a".into(),
            content_type: None,
            payload: payload.into(),
            time: None,
            deliver_at: None,
            expires: None,
            labels: Default::default(),
        };
        publish::check(&self.shared, &event).await.unwrap()
    }

    async fn check_schemas(&self, check: SchemaCheck) {
        let patch = TenantPatch { schema_check: Some(check), ..Default::default() };
        self.configurator.update_tenant(TENANT, None, patch).await.unwrap();
    }
}

#[tokio::test]
async fn every_change_of_a_catalogue_raises_the_version_and_counts_at_once() {
    let fixture = Fixture::new().await;
    let configurator = &fixture.configurator;
    let mut versions = vec![fixture.shared.routes.cfg()];
    fixture.check_schemas(SchemaCheck::Reject).await;
    versions.push(fixture.shared.routes.cfg());
    configurator.create_event_type(TENANT, settings("a", "false")).await.unwrap();
    versions.push(fixture.shared.routes.cfg());
    assert!(matches!(fixture.verdict("1").await, Verdict::Refuse(_)));
    let types = vec![settings("a", "true"), settings("b", "true")];
    configurator.import_event_types(TENANT, types.clone()).await.unwrap();
    versions.push(fixture.shared.routes.cfg());
    assert_eq!(fixture.verdict("1").await, Verdict::Publish(Vec::new()));
    let patch = EventTypePatch { deprecated: Some(true), ..EventTypePatch::default() };
    configurator.update_event_type(TENANT, "a".to_owned(), None, patch).await.unwrap();
    versions.push(fixture.shared.routes.cfg());
    assert_eq!(fixture.verdict("1").await, Verdict::Publish(vec![Warning::Deprecated]));
    configurator.delete_event_type(TENANT, "a".to_owned(), None).await.unwrap();
    versions.push(fixture.shared.routes.cfg());
    assert_eq!(fixture.verdict("1").await, Verdict::Publish(Vec::new()));
    assert!(versions.is_sorted_by(|version, next| version < next), "{versions:?}");

    let imported = configurator.import_event_types(TENANT, types[1..].to_vec()).await.unwrap();
    assert_eq!(imported.unchanged, 1);
    assert_eq!(fixture.shared.routes.cfg(), versions[5], "nothing changed");
    // Nor does it if something is kept of the call: no server has to read the configuration anew for that.
    let change = Change::new(Actor::Server, None, "ImportEventTypes");
    let call = Call::new(TENANT, None, |imported| imported).audited(change, |_| Vec::new());
    let imported: Imported = configurator.import_event_types(call, types[1..].to_vec()).await.unwrap();
    assert_eq!(imported.unchanged, 1);
    let stored = fixture.shared.db.read(|conn| Box::pin(store::meta::cfg(conn))).await.unwrap();
    assert_eq!((fixture.shared.routes.cfg(), stored), (versions[5], versions[5]), "an entry is no configuration");
    fixture.endpoint(false).await;
    assert_eq!(fixture.shared.routes.cfg(), versions[5] + 1, "and nothing was left behind");
}

#[tokio::test]
async fn next_life_checks_as_this_one_does() {
    let fixture = Fixture::new().await;
    fixture.check_schemas(SchemaCheck::Warn).await;
    fixture.configurator.create_event_type(TENANT, settings("a", r#"{"maximum": 1}"#)).await.unwrap();
    fixture.configurator.create_event_type(OTHER_TENANT, settings("a", "false")).await.unwrap();
    let before = fixture.verdict("2").await;
    assert!(matches!(&before, Verdict::Publish(warnings) if warnings.len() == 1), "{before:?}");
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.verdict("2").await, before);
    assert_eq!(fixture.verdict("1").await, Verdict::Publish(Vec::new()));
}

#[tokio::test]
async fn what_is_refused_leaves_the_schema_in_force() {
    let fixture = Fixture::new().await;
    fixture.check_schemas(SchemaCheck::Reject).await;
    fixture.configurator.create_event_type(TENANT, settings("a", "false")).await.unwrap();
    let patch = EventTypePatch { schema: Some(None), ..EventTypePatch::default() };
    let stale = Some("stale".to_owned());
    fixture.configurator.update_event_type(TENANT, "a".to_owned(), stale.clone(), patch).await.unwrap_err();
    fixture.configurator.delete_event_type(TENANT, "a".to_owned(), stale.clone()).await.unwrap_err();
    fixture.configurator.create_event_type(TENANT, settings("a", "true")).await.unwrap_err();
    let off = TenantPatch { schema_check: Some(SchemaCheck::Off), ..Default::default() };
    fixture.configurator.update_tenant(TENANT, stale, off).await.unwrap_err();
    assert!(matches!(fixture.verdict("1").await, Verdict::Refuse(_)));
}

twins!(
    "catalogue.rs",
    [
        every_change_of_a_catalogue_raises_the_version_and_counts_at_once,
        next_life_checks_as_this_one_does,
        what_is_refused_leaves_the_schema_in_force,
    ]
);
