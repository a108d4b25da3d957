//! The JSON as the field `payload` of an HTML form (`application/x-www-form-urlencoded`, WHATWG URL standard).

use std::borrow::Cow;

use url::form_urlencoded::byte_serialize;

use super::BodyForm;

/// The media type of a form.
pub(super) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

const FIELD: &str = "payload";

/// Why a body is not a form with one field `payload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// No field has that name.
    #[error("the body is not a form with a field `payload`")]
    Missing,
    /// Several fields have that name, so that a receiver may read another than was verified.
    #[error("the form has more than one field `payload`")]
    Repeated,
    /// A `%` without two hexadecimal digits after it.
    #[error("the form has a `%` that is not followed by two hexadecimal digits")]
    Malformed,
}

/// What was signed of a body that arrived: of a form the value of its field `payload`, otherwise the body as it is.
pub fn signed_part(form: BodyForm, sent: &[u8]) -> Result<Cow<'_, [u8]>, FormError> {
    match form {
        BodyForm::AsIs | BodyForm::StableJson => Ok(Cow::Borrowed(sent)),
        BodyForm::FormPayload => decode(sent).map(Cow::Owned),
    }
}

/// The form that has `json` as its one field.
pub(crate) fn encode(json: &[u8]) -> Vec<u8> {
    let pieces = || byte_serialize(json);
    let mut out = Vec::with_capacity(FIELD.len() + 1 + pieces().map(str::len).sum::<usize>());
    out.extend_from_slice(FIELD.as_bytes());
    out.push(b'=');
    pieces().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    out
}

fn decode(form: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut payload = None;
    for field in form.split(|byte| *byte == b'&') {
        let mut halves = field.splitn(2, |byte| *byte == b'=');
        let name = decode_text(halves.next().unwrap_or_default())?;
        let value = decode_text(halves.next().unwrap_or_default())?;
        if name == FIELD.as_bytes() && payload.replace(value).is_some() {
            return Err(FormError::Repeated);
        }
    }
    payload.ok_or(FormError::Missing)
}

/// Unlike a browser's, refuses a `%` that encodes nothing: no two receivers read it alike.
fn decode_text(text: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let [high, low, after @ ..] = rest else { return Err(FormError::Malformed) };
                rest = after;
                out.push(hex(*high)? << 4 | hex(*low)?);
            }
            other => out.push(*other),
        }
    }
    Ok(out)
}

fn hex(digit: u8) -> Result<u8, FormError> {
    let value = char::from(digit).to_digit(16).ok_or(FormError::Malformed)?;
    u8::try_from(value).map_err(|_| FormError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(form: &str) -> Result<Vec<u8>, FormError> {
        signed_part(BodyForm::FormPayload, form.as_bytes()).map(Cow::into_owned)
    }

    #[test]
    fn spaces_become_plus_signs_and_the_rest_percent_escapes() {
        assert_eq!(encode("{\"a\":\"b c+é*-._~\"}".as_bytes()), b"payload=%7B%22a%22%3A%22b+c%2B%C3%A9*-._%7E%22%7D");
    }

    #[test]
    fn what_was_signed_of_a_form_is_its_field_payload() {
        assert_eq!(decoded("payload=%7b%7D").unwrap(), b"{}");
        assert_eq!(decoded("a=b&pay%6Coad=x=+&c").unwrap(), b"x= ");
        assert_eq!(decoded("payload").unwrap(), b"");
        assert_eq!(decoded("payload=%FF").unwrap(), b"\xff");
    }

    #[test]
    fn a_form_without_exactly_one_payload_is_refused() {
        for (form, error) in [
            ("", FormError::Missing),
            ("Payload=1", FormError::Missing),
            ("{}", FormError::Missing),
            ("payload=1&payload=1", FormError::Repeated),
            ("payload=1&pay%6coad", FormError::Repeated),
            ("payload=%", FormError::Malformed),
            ("payload=%4", FormError::Malformed),
            ("payload=%+4", FormError::Malformed),
            ("payload=1&%zz=", FormError::Malformed),
        ] {
            assert_eq!(decoded(form), Err(error), "{form}");
        }
    }

    #[test]
    fn what_was_signed_of_any_other_body_is_the_body() {
        for form in [BodyForm::AsIs, BodyForm::StableJson] {
            assert!(matches!(signed_part(form, b"payload=%7B"), Ok(Cow::Borrowed(b"payload=%7B"))));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(signed_part(BodyForm::FormPayload, &encode(&bytes)).unwrap().into_owned(), bytes);
        }

        #[test]
        fn the_standards_reader_agrees(text: String) {
            let form = encode(text.as_bytes());
            let fields: Vec<_> = url::form_urlencoded::parse(&form).into_owned().collect();
            prop_assert_eq!(fields, [("payload".to_owned(), text)]);
        }

        #[test]
        fn any_form_never_panics(form in "[%&=+a-fpayload0-9]{0,30}") {
            let _ = decoded(&form);
        }
    }
}
