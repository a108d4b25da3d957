use proptest::prelude::*;

use super::{super::sign, *};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const WITH_OLD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const WITH_NEW: &str = "v1,O4Gjv1HqPqsMrjmczoggs/sWA8gZD0VyHG+fLh4+ktI=";
const NOW: Timestamp = Timestamp::from_micros(1_614_265_330_000_000);

fn secret(text: &str) -> Secret {
    Secret::parse(text).unwrap()
}

fn headers(signature: &str) -> MessageHeaders<'_> {
    MessageHeaders { id: Some(ID), timestamp: Some("1614265330"), signature: Some(signature) }
}

fn check(secrets: &[&str], headers: MessageHeaders<'_>, body: &[u8], now: Timestamp) -> Result<usize, VerifyError> {
    let secrets: Vec<Secret> = secrets.iter().map(|text| secret(text)).collect();
    let secrets: Vec<&Secret> = secrets.iter().collect();
    verify(&secrets, headers, body, now, DEFAULT_TOLERANCE).map(|verified| verified.secret_index)
}

fn refusal(signature: &str) -> VerifyError {
    check(&[OLD], headers(signature), BODY, NOW).unwrap_err()
}

/// The vector of the Standard Webhooks reference libraries.
#[test]
fn reference_vector_is_accepted() {
    let secret = secret(OLD);
    let verified = verify(&[&secret], headers(WITH_OLD), BODY, NOW, DEFAULT_TOLERANCE).unwrap();
    assert_eq!(verified, Verified { id: ID, signed: NOW, secret_index: 0 });
}

#[test]
fn during_rotation_either_secret_is_enough() {
    let both = format!("{WITH_OLD} {WITH_NEW}");
    assert_eq!(check(&[OLD], headers(&both), BODY, NOW), Ok(0));
    assert_eq!(check(&[NEW], headers(&both), BODY, NOW), Ok(0));
    assert_eq!(check(&[NEW, OLD], headers(WITH_OLD), BODY, NOW), Ok(1));
    assert_eq!(check(&[NEW], headers(WITH_OLD), BODY, NOW), Err(VerifyError::Mismatch));
}

#[test]
fn signature_stands_at_any_position_among_others() {
    let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for others in [
        format!("{WITH_OLD} {wrong}"),
        format!("{wrong} {WITH_OLD}"),
        format!("v1, v2,xyz  v1a,{wrong} v1,short {WITH_OLD} v0,x"),
    ] {
        assert_eq!(check(&[OLD], headers(&others), BODY, NOW), Ok(0), "{others}");
    }
    assert_eq!(refusal(wrong), VerifyError::Mismatch);
}

#[test]
fn empty_signature_after_the_version_is_refused() {
    assert_eq!(refusal("v1,"), VerifyError::MalformedSignature);
    assert_eq!(refusal("v1, v1,"), VerifyError::MalformedSignature);
}

#[test]
fn key_used_as_a_string_instead_of_decoded_is_refused() {
    assert_eq!(refusal("v1,TcxlhK9b6UD6iVI1ZU2tTqp8PEVfYRseNNfa6b+LcUg="), VerifyError::Mismatch);
}

#[test]
fn unknown_versions_are_ignored() {
    for unknown in ["v1", "v1a,", "v2,x", "V1,x", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
        assert_eq!(refusal(unknown), VerifyError::UnknownVersion, "{unknown}");
    }
    assert_eq!(refusal(&WITH_OLD.replace("v1,", "v2,")), VerifyError::UnknownVersion);
}

#[test]
fn truncated_and_extended_signatures_are_refused() {
    assert_eq!(refusal(&WITH_OLD[..WITH_OLD.len() - 1]), VerifyError::MalformedSignature);
    assert_eq!(refusal(&format!("{WITH_OLD}=")), VerifyError::MalformedSignature);
    // The last character before the padding has two bits that decoding would throw away.
    assert_eq!(refusal(&WITH_OLD.replace("1OE=", "1OF=")), VerifyError::Mismatch);
}

#[test]
fn missing_and_empty_headers_are_named() {
    let full = headers(WITH_OLD);
    for empty in [None, Some(""), Some(" ")] {
        let cases = [
            (MessageHeaders { id: empty, ..full }, "webhook-id"),
            (MessageHeaders { timestamp: empty, ..full }, "webhook-timestamp"),
            (MessageHeaders { signature: empty, ..full }, "webhook-signature"),
        ];
        for (headers, name) in cases {
            assert_eq!(check(&[OLD], headers, BODY, NOW), Err(VerifyError::MissingHeader(name)));
        }
    }
}

#[test]
fn headers_are_read_by_their_names() {
    let read = MessageHeaders::read(|name| match name {
        "webhook-id" => Some(ID),
        "webhook-timestamp" => Some("1614265330"),
        "webhook-signature" => Some(WITH_OLD),
        _ => None,
    });
    assert_eq!(read, headers(WITH_OLD));
}

#[test]
fn without_a_secret_nothing_is_accepted() {
    assert_eq!(check(&[], headers(WITH_OLD), BODY, NOW), Err(VerifyError::NoSecret));
}

#[test]
fn timestamp_may_be_off_by_the_tolerance_both_ways() {
    let at = |secs: i64| Timestamp::from_micros(NOW.as_micros() + secs * 1_000_000);
    let tolerance = DEFAULT_TOLERANCE;
    for secs in [-300, 0, 300] {
        assert_eq!(check(&[OLD], headers(WITH_OLD), BODY, at(secs)), Ok(0), "{secs}");
    }
    let by = Duration::from_secs(301);
    let too_old = VerifyError::TooOld { by, tolerance };
    assert_eq!(check(&[OLD], headers(WITH_OLD), BODY, at(301)), Err(too_old));
    let too_new = VerifyError::TooNew { by, tolerance };
    assert_eq!(check(&[OLD], headers(WITH_OLD), BODY, at(-301)), Err(too_new));
}

#[test]
fn odd_timestamps_are_refused() {
    for odd in ["-1614265330", "+1614265330", " 1614265330", "1614265330.0", "0x1", "9999999999999", "١", "1e9"] {
        let headers = MessageHeaders { timestamp: Some(odd), ..headers(WITH_OLD) };
        assert_eq!(check(&[OLD], headers, BODY, NOW), Err(VerifyError::BadTimestamp), "{odd}");
    }
}

/// `a` + `1614265330.x` and `a.1614265330` + `x` are the same bytes once joined.
#[test]
fn parts_cannot_be_moved_into_one_another() {
    let secret = secret(OLD);
    let signed = sign(&[&secret], "a", NOW, b"1614265330.x");
    let moved = MessageHeaders { id: Some("a.1614265330"), ..MessageHeaders::from(&signed) };
    assert!(verify(&[&secret], (&signed).into(), b"1614265330.x", NOW, DEFAULT_TOLERANCE).is_ok());
    let refused = verify(&[&secret], moved, b"x", NOW, DEFAULT_TOLERANCE);
    assert_eq!(refused, Err(VerifyError::BadId));
}

#[test]
fn errors_repeat_nothing_of_the_message() {
    let canary = "canary";
    for headers in [
        MessageHeaders { id: Some("canary.x"), ..headers(WITH_OLD) },
        MessageHeaders { timestamp: Some(canary), ..headers(WITH_OLD) },
        headers("v1,canary"),
        headers(canary),
    ] {
        let error = check(&[OLD], headers, canary.as_bytes(), NOW).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary), "{error}");
    }
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_no_mutation_does(
        id in "[A-Za-z0-9_-]{1,40}",
        secs in 0..100_000_000_000_i64,
        body in prop::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let (secret, other) = (secret(OLD), secret(NEW));
        let now = Timestamp::from_micros(secs * 1_000_000);
        let signed = sign(&[&other, &secret], &id, now, &body);
        let accepted = |headers: &SignedHeaders, body: &[u8]| {
            verify(&[&secret], headers.into(), body, now, Duration::MAX).is_ok()
        };
        prop_assert!(accepted(&signed, &body));

        let mut changed = body.clone();
        changed.push(flip);
        prop_assert!(!accepted(&signed, &changed));
        changed.pop();
        if !changed.is_empty() {
            let at = place.index(changed.len());
            changed[at] ^= flip;
            prop_assert!(!accepted(&signed, &changed));
            changed.truncate(at);
            prop_assert!(!accepted(&signed, &changed));
        }
        let later = SignedHeaders { timestamp: (secs + 1).to_string(), ..signed.clone() };
        prop_assert!(!accepted(&later, &body));
        let renamed = SignedHeaders { id: id + "x", ..signed.clone() };
        prop_assert!(!accepted(&renamed, &body));

        // The second signature is the one that counts; whatever one of its characters becomes, it no longer does.
        let mut signature = signed.signature.clone().into_bytes();
        let start = signature.len() - ENCODED_LEN;
        let at = start + place.index(ENCODED_LEN);
        signature[at] = if signature[at] == b'A' { b'B' } else { b'A' };
        let signature = String::from_utf8(signature).unwrap();
        let forged = SignedHeaders { signature, ..signed };
        prop_assert!(!accepted(&forged, &body));
    }

    #[test]
    fn any_input_is_verified_without_a_panic(
        id in ".{0,9}", timestamp in "[0-9]{0,14}|.{0,9}", signature in "(v1,)?.{0,60}", body: Vec<u8>, now: i64,
    ) {
        let headers =
            MessageHeaders { id: Some(&id), timestamp: Some(&timestamp), signature: Some(&signature) };
        let result = check(&[OLD], headers, &body, Timestamp::from_micros(now));
        prop_assert!(result.is_err());
    }
}
