//! Rotation side by side and staged, activation and revocation.

use super::*;
use crate::model::{Style, StyleChoice, StylePreset};

#[tokio::test]
async fn old_secrets_sign_until_the_overlap_ends_or_they_expire_earlier() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let first = fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    let now = fixture.shared.clock.now();
    assert_eq!(first.iter().map(|secret| secret.expires).collect::<Vec<_>>(), [None, Some(now.plus(DAY))]);

    let second = fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY * 2)).await.unwrap();
    let expiries = [None, Some(now.plus(DAY * 2)), Some(now.plus(DAY))];
    assert_eq!(second.iter().map(|secret| secret.expires).collect::<Vec<_>>(), expiries);
    assert_eq!(texts(&fixture.stored_secrets(key).await), texts(&second));
    assert_eq!(texts(&fixture.shared.routes.endpoint(key).unwrap().secrets), texts(&second));

    fixture.shared.clock.advance(DAY);
    let third = fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    assert_eq!(third.len(), 3);
    assert_eq!(texts(&fixture.stored_secrets(key).await), texts(&third));
    assert_eq!(texts(&third)[1..], texts(&second)[..2]);
}

#[tokio::test]
async fn without_overlap_only_the_new_secret_signs() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    let only = fixture.configurator.rotate_secret(TENANT, key, None, rotation(Duration::ZERO)).await.unwrap();
    assert_eq!(only.len(), 1);
    assert_eq!(texts(&fixture.stored_secrets(key).await), texts(&only));
}

#[tokio::test]
async fn rotations_are_bounded_and_never_repeat_a_live_secret() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    for _ in 1..SECRETS_MAX {
        fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    }
    let before = fixture.stored_secrets(key).await;
    let refused = fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await;
    assert!(matches!(refused, Err(Error::TooManySecrets)), "{refused:?}");
    let repeated = Rotation { value: before[2].value.clone(), ..rotation(Duration::ZERO) };
    let refused = fixture.configurator.rotate_secret(TENANT, key, None, repeated).await;
    assert!(matches!(&refused, Err(Error::Refused(refusals)) if refusals[0].field == "secret"), "{refused:?}");
    let after = fixture.stored_secrets(key).await;
    let seen = |secrets: &[Secret]| secrets.iter().map(|secret| (secret.key, secret.expires)).collect::<Vec<_>>();
    assert_eq!(seen(&after), seen(&before));
    fixture.configurator.rotate_secret(TENANT, key, None, rotation(Duration::ZERO)).await.unwrap();
}

/// An endpoint whose messages carry one signature.
async fn single(fixture: &Fixture) -> EndpointKey {
    let style = Style::new(StyleChoice { preset: StylePreset::Parra, ..StyleChoice::default() }).unwrap();
    let settings = EndpointSettings { style, ..settings() };
    let new = NewEndpoint {
        settings,
        disabled: false,
        secrets: Vec::new(),
        headers: Vec::new(),
        credentials: Default::default(),
    };
    fixture.configurator.create_endpoint(TENANT, new).await.unwrap().0.key
}

fn staged(takeover: Takeover) -> Rotation {
    let value = Arc::new(signing::Secret::generate(signing::KeyForm::Text));
    Rotation { scheme: "parra".into(), value, takeover }
}

/// The keys of the secrets that sign at present, as attempts see them.
fn signing_now(fixture: &Fixture, key: EndpointKey) -> Vec<SecretKey> {
    let entry = fixture.shared.routes.endpoint(key).unwrap();
    entry.signing_secrets("parra", fixture.shared.clock.now()).iter().map(|secret| secret.key).collect()
}

#[tokio::test]
async fn staged_secret_signs_once_it_is_activated_and_not_before() {
    let fixture = Fixture::new().await;
    let key = single(&fixture).await;
    let first = signing_now(&fixture, key);
    let both = fixture.configurator.rotate_secret(TENANT, key, None, staged(Takeover::OnActivation)).await.unwrap();
    assert_eq!(both.len(), 2);
    fixture.shared.clock.advance(DAY * 100);
    assert_eq!(signing_now(&fixture, key), first);

    let after = fixture.configurator.activate_secret(TENANT, key, None, both[0].key).await.unwrap();
    assert_eq!(texts(&after), texts(&both)[..1]);
    assert_eq!(signing_now(&fixture, key), [both[0].key]);
    assert_eq!(texts(&fixture.stored_secrets(key).await), texts(&after));
    let kinds = [TransitionKind::EndpointCreated, TransitionKind::SecretRotated, TransitionKind::SecretActivated];
    assert_eq!(fixture.kinds().await, kinds);

    let again = fixture.configurator.activate_secret(TENANT, key, None, both[0].key).await.unwrap();
    assert_eq!(texts(&again), texts(&after));
    assert_eq!(fixture.kinds().await, kinds);
}

#[tokio::test]
async fn secret_takes_over_at_its_time_without_a_gap_and_over_a_restart() {
    let fixture = Fixture::new().await;
    let key = single(&fixture).await;
    let first = signing_now(&fixture, key);
    let takeover = Takeover::At(fixture.shared.clock.now().plus(DAY));
    let both = fixture.configurator.rotate_secret(TENANT, key, None, staged(takeover)).await.unwrap();
    fixture.shared.clock.advance(DAY - Duration::from_micros(1));
    assert_eq!(signing_now(&fixture, key), first);
    let fixture = fixture.reopened().await;
    assert_eq!(signing_now(&fixture, key), first);
    fixture.shared.clock.advance(Duration::from_micros(1));
    assert_eq!(signing_now(&fixture, key), [both[0].key]);
}

#[tokio::test]
async fn one_secret_at_a_time_waits_to_take_over() {
    let fixture = Fixture::new().await;
    let key = single(&fixture).await;
    let at = Takeover::At(fixture.shared.clock.now().plus(DAY));
    for takeover in [Takeover::OnActivation, at] {
        let both = fixture.configurator.rotate_secret(TENANT, key, None, staged(takeover)).await.unwrap();
        for again in [Takeover::OnActivation, at] {
            let refused = fixture.configurator.rotate_secret(TENANT, key, None, staged(again)).await;
            assert!(matches!(refused, Err(Error::SecretStaged)), "{refused:?}");
        }
        fixture.configurator.revoke_secret(TENANT, key, None, both[0].key).await.unwrap();
    }
}

#[tokio::test]
async fn revoking_what_was_to_take_over_lets_the_one_before_go_on() {
    let fixture = Fixture::new().await;
    let key = single(&fixture).await;
    let first = signing_now(&fixture, key);
    let takeover = Takeover::At(fixture.shared.clock.now().plus(DAY));
    let both = fixture.configurator.rotate_secret(TENANT, key, None, staged(takeover)).await.unwrap();
    let left = fixture.configurator.revoke_secret(TENANT, key, None, both[0].key).await.unwrap();
    assert_eq!(texts(&left), texts(&both)[1..]);
    fixture.shared.clock.advance(DAY * 2);
    assert_eq!(signing_now(&fixture, key), first);
    assert_eq!(*fixture.kinds().await.last().unwrap(), TransitionKind::SecretRevoked);
}

#[tokio::test]
async fn activating_early_ends_the_one_before_and_has_no_end_itself() {
    let fixture = Fixture::new().await;
    let key = single(&fixture).await;
    let takeover = Takeover::At(fixture.shared.clock.now().plus(DAY));
    let both = fixture.configurator.rotate_secret(TENANT, key, None, staged(takeover)).await.unwrap();
    fixture.configurator.activate_secret(TENANT, key, None, both[0].key).await.unwrap();
    assert_eq!(signing_now(&fixture, key), [both[0].key]);
    fixture.shared.clock.advance(DAY * 2);
    assert_eq!(signing_now(&fixture, key), [both[0].key]);
}

#[tokio::test]
async fn the_only_secret_that_signs_cannot_be_revoked() {
    let fixture = Fixture::new().await;
    let key = single(&fixture).await;
    let both = fixture.configurator.rotate_secret(TENANT, key, None, staged(Takeover::OnActivation)).await.unwrap();
    let refused = fixture.configurator.revoke_secret(TENANT, key, None, both[1].key).await;
    assert!(matches!(refused, Err(Error::LastSecret)), "{refused:?}");
    assert_eq!(texts(&fixture.stored_secrets(key).await), texts(&both));

    let standard = fixture.endpoint(false).await.key;
    let both = fixture.configurator.rotate_secret(TENANT, standard, None, rotation(DAY)).await.unwrap();
    let left = fixture.configurator.revoke_secret(TENANT, standard, None, both[1].key).await.unwrap();
    assert_eq!(texts(&left), texts(&both)[..1]);
    let refused = fixture.configurator.revoke_secret(TENANT, standard, None, both[0].key).await;
    assert!(matches!(refused, Err(Error::LastSecret)), "{refused:?}");
}

#[tokio::test]
async fn revoking_the_newest_leaves_those_that_sign_beside_it() {
    let fixture = Fixture::new().await;
    let key = fixture.endpoint(false).await.key;
    let both = fixture.configurator.rotate_secret(TENANT, key, None, rotation(DAY)).await.unwrap();
    let left = fixture.configurator.revoke_secret(TENANT, key, None, both[0].key).await.unwrap();
    assert_eq!(texts(&left), texts(&both)[1..]);
    fixture.shared.clock.advance(DAY * 2);
    let entry = fixture.shared.routes.endpoint(key).unwrap();
    assert_eq!(entry.signing_secrets("standard", fixture.shared.clock.now()).len(), 1, "nothing signs any more");
}

#[tokio::test]
async fn secrets_of_others_are_not_found() {
    let fixture = Fixture::new().await;
    let (one, other) = (single(&fixture).await, single(&fixture).await);
    let foreign = signing_now(&fixture, other)[0];
    let configurator = &fixture.configurator;
    for refused in [
        configurator.activate_secret(TENANT, one, None, foreign).await,
        configurator.revoke_secret(TENANT, one, None, foreign).await,
        configurator.activate_secret(TENANT, one, None, SecretKey(99)).await,
    ] {
        assert!(matches!(refused, Err(Error::NoSuchSecret)), "{refused:?}");
    }
    for refused in [
        configurator.activate_secret(OTHER_TENANT, other, None, foreign).await,
        configurator.revoke_secret(OTHER_TENANT, other, None, foreign).await,
    ] {
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
}

twins!(
    "secrets.rs",
    [
        old_secrets_sign_until_the_overlap_ends_or_they_expire_earlier,
        without_overlap_only_the_new_secret_signs,
        rotations_are_bounded_and_never_repeat_a_live_secret,
        staged_secret_signs_once_it_is_activated_and_not_before,
        secret_takes_over_at_its_time_without_a_gap_and_over_a_restart,
        one_secret_at_a_time_waits_to_take_over,
        revoking_what_was_to_take_over_lets_the_one_before_go_on,
        activating_early_ends_the_one_before_and_has_no_end_itself,
        the_only_secret_that_signs_cannot_be_revoked,
        revoking_the_newest_leaves_those_that_sign_beside_it,
        secrets_of_others_are_not_found,
    ]
);
