//! What to do about a webhook that is not right.

use crate::{
    receiver::Refusal,
    signing::{BodyChange, Cause, Encoding, KeyForm, KeyReading, Part, SignatureScheme, Variable, VerifyError},
};

/// What to do about a known mistake, in a webhook that should be signed by `scheme`.
pub(super) fn advice(cause: &Cause, scheme: &SignatureScheme) -> String {
    match cause {
        Cause::Stale => {
            "verify a webhook when it arrives, and set the clocks of both sides; a sender signs every attempt \
                         anew. For one that was kept, --at says when it arrived"
                .to_owned()
        }
        Cause::Key(reading) => key(*reading, scheme.definition().key_form).to_owned(),
        Cause::SignaturePrefix { expected, .. } if expected.is_empty() => {
            "the sender has to write the signature with nothing before it".to_owned()
        }
        Cause::SignaturePrefix { expected, .. } => format!(
            "the sender has to write `{expected}` before each signature; a receiver takes it off before it compares"
        ),
        Cause::Body(change) => body(*change).to_owned(),
        Cause::OldSecret { .. } => "the sender still signs with the old secret: keep it beside the new one until the \
                                    rotation's overlap has ended or the new one is activated"
            .to_owned(),
        Cause::NotSigned(_) => format!("what both sides have to sign is `{}`", template(scheme)),
        Cause::Encoding(Encoding::Hex) => "the sender has to write signatures in base64".to_owned(),
        Cause::Encoding(Encoding::Base64) => "the sender has to write signatures in lower-case hexadecimal".to_owned(),
        Cause::OtherScheme(preset) => {
            format!("set the receiver up for {0}, or the endpoint for the receiver's; here --style {0}", preset.name())
        }
        Cause::LooksLike(preset) => format!("try --style {} with its secret", preset.name()),
        Cause::UnreadableSecret { .. } => on_secrets(scheme),
        Cause::Besides(error) => advice_on(&Refusal::Signature(error.clone()), scheme),
        Cause::Unknown(signed) => on_mismatch(signed.contains(&Variable::Url)),
    }
}

fn on_secrets(scheme: &SignatureScheme) -> String {
    let form = match scheme.definition().key_form {
        KeyForm::Text => "any text of 1 to 256 bytes",
        KeyForm::Base64 => "`whsec_` and base64",
        KeyForm::Ed25519Seed => "`whsk_` or, for the public key, `whpk_` and base64",
    };
    format!("give a secret of this scheme's form: {form}")
}

fn on_mismatch(is_url_signed: bool) -> String {
    let url = if is_url_signed { "; give the URL by --url as the endpoint has it, to the letter" } else { "" };
    format!(
        "compare the secret with the endpoint's, end to end (an old one is tried by --old-secret); take the body from \
         the wire, before anything has parsed, decoded or printed it{url}"
    )
}

fn key(reading: KeyReading, form: KeyForm) -> &'static str {
    let decode = "whoever signed has to take `whsec_` off, decode the rest from base64, and use these bytes as the key";
    let keep = "whoever signed has to use the secret as it stands as the key, `whsec_` included and nothing decoded";
    match reading {
        KeyReading::Whole => decode,
        KeyReading::Decoded => keep,
        KeyReading::WithoutPrefix if form == KeyForm::Base64 => decode,
        KeyReading::WithoutPrefix => keep,
        KeyReading::OtherLength => "rotate to a secret of 24 to 64 bytes, such as a generated one, on both sides",
        KeyReading::WithPrefix => "give the receiver the whole secret, `whsec_` included",
        KeyReading::Trimmed => "take the white space off the secret where the receiver keeps it",
        KeyReading::WithLineEnd => "take the line end off the secret where the sender keeps it",
    }
}

fn body(change: BodyChange) -> &'static str {
    match change {
        BodyChange::Reserialised { .. } | BodyChange::Restringified => {
            "read the raw body in the receiver (in Express `express.raw`, in Flask `request.get_data()`, in Go \
             `io.ReadAll`) and parse it after it was verified"
        }
        BodyChange::FormPayload => {
            "verify the decoded value of the form's field `payload`; here --style erudika-para-form does"
        }
        BodyChange::FormBytes => "verify the form itself, before it is decoded",
        BodyChange::LineEndAdded | BodyChange::LineEndRemoved => {
            "keep the body as it arrived: editors, `echo` and shells add or take off the last line end, and `curl -d \
             @FILE` takes all of them off where `--data-binary` does not"
        }
        BodyChange::CrLf | BodyChange::Lf => {
            "keep the body as it arrived: read and write it in binary mode, and let no tool convert line ends"
        }
    }
}

/// What to do about an error that says it all.
pub(super) fn advice_on(error: &Refusal, scheme: &SignatureScheme) -> String {
    let error = match error {
        Refusal::Form(_) => {
            return "give the body as it arrived: a form whose field `payload` is the JSON that was signed".to_owned();
        }
        Refusal::Signature(error) => error,
    };
    match error {
        VerifyError::NoSecret | VerifyError::WrongKeyForm => on_secrets(scheme),
        VerifyError::NoUrl => "give the endpoint's URL by --url".to_owned(),
        VerifyError::MissingHeader(_) => {
            let names: Vec<_> = scheme.definition().headers.iter().map(|header| header.name.as_str()).collect();
            format!("give each of these headers once: {}; look for a proxy that takes them off", names.join(", "))
        }
        VerifyError::MalformedHeader { .. }
        | VerifyError::Contradiction(_)
        | VerifyError::Ambiguous { .. }
        | VerifyError::BadTimestamp(_)
        | VerifyError::UnknownVersion { .. }
        | VerifyError::MalformedSignature { .. }
        | VerifyError::TooManySignatures(_) => {
            "compare the header with what the sender sent: it was cut or changed, or made by another scheme".to_owned()
        }
        VerifyError::TooOld { .. } | VerifyError::TooNew { .. } | VerifyError::Mismatch => {
            on_mismatch(scheme.definition().signed.contains(&Part::Variable(Variable::Url)))
        }
    }
}

fn template(scheme: &SignatureScheme) -> String {
    scheme.definition().signed.iter().map(Part::to_string).collect()
}
