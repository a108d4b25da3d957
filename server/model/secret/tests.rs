use super::*;
use crate::signing::KeyForm;

fn secret(key: i64, begins: Begin, expires: Option<i64>) -> Secret {
    Secret {
        key: SecretKey(key),
        scheme: "a".into(),
        value: Arc::new(signing::Secret::generate(KeyForm::Text)),
        created: Timestamp::from_micros(0),
        begins,
        expires: expires.map(Timestamp::from_micros),
    }
}

fn at(micros: i64) -> Begin {
    Begin::At(Timestamp::from_micros(micros))
}

fn keys(secrets: &[Secret], joins: bool, now: i64) -> Vec<i64> {
    signing(secrets.iter(), joins, Timestamp::from_micros(now)).iter().map(|secret| secret.key.0).collect()
}

#[test]
fn all_that_live_sign_side_by_side() {
    let secrets = [secret(3, Begin::Created, None), secret(2, Begin::Created, Some(10)), secret(1, at(5), Some(4))];
    assert_eq!(keys(&secrets, true, 6), [3, 2]);
    assert_eq!(keys(&secrets, true, 10), [3]);
}

#[test]
fn one_signature_is_that_of_the_secret_that_ends_first() {
    let secrets = [secret(3, Begin::Created, None), secret(2, Begin::Created, Some(10))];
    assert_eq!(keys(&secrets, false, 9), [2], "promised until 10");
    assert_eq!(keys(&secrets, false, 10), [3]);
}

#[test]
fn takeover_is_exact_and_what_waits_for_activation_never_signs() {
    let secrets = [secret(3, Begin::OnActivation, None), secret(2, at(10), None), secret(1, Begin::Created, Some(10))];
    assert_eq!(keys(&secrets, false, 9), [1]);
    assert_eq!(keys(&secrets, false, 10), [2]);
    assert_eq!(keys(&secrets[..1], false, i64::MAX - 1), [0_i64; 0]);
}

#[test]
fn a_clock_that_was_set_back_leaves_no_scheme_without_a_signature() {
    let secrets = [secret(3, Begin::OnActivation, None), secret(2, at(30), None), secret(1, at(20), None)];
    for joins in [true, false] {
        assert_eq!(keys(&secrets, joins, 10), [1]);
    }
}
