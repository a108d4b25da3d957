use std::time::Duration;

use super::{
    super::{
        KeyForm, SchemePreset, SignatureScheme, VerifyingKey,
        parcel::{NOW, Parcel, message, secrets},
    },
    *,
};

/// Shopify's scheme with other parts and headers.
fn scheme(signed: Vec<Part>, headers: Vec<(&str, Vec<Part>)>) -> SignatureScheme {
    let mut definition = SchemePreset::Shopify.scheme().definition().clone();
    definition.signed = signed;
    definition.headers.extend(headers.into_iter().map(|(name, value)| SchemeHeader { name: name.to_owned(), value }));
    SignatureScheme::new(definition).unwrap()
}

fn signed(scheme: &SignatureScheme) -> Parcel {
    Parcel::by(scheme, &secrets(KeyForm::Text)[0], &message(b"{}"))
}

fn verify(scheme: &SignatureScheme, parcel: &Parcel) -> Result<(), VerifyError> {
    let key = VerifyingKey::from(&secrets(KeyForm::Text)[0]);
    parcel.verify(scheme, &[key], NOW, Duration::ZERO).map(drop)
}

#[test]
fn headers_that_say_the_same_thing_have_to_agree() {
    let scheme = scheme(
        vec![Variable::Id.into(), ".".into(), Variable::Body.into()],
        vec![("x-one", vec![Variable::Id.into()]), ("x-two", vec!["id=".into(), Variable::Id.into()])],
    );
    let parcel = signed(&scheme);
    assert_eq!(verify(&scheme, &parcel), Ok(()));
    let contradicting = parcel.with("x-two", "id=other");
    assert_eq!(verify(&scheme, &contradicting), Err(VerifyError::Contradiction("x-two".to_owned())));
}

#[test]
fn operation_is_the_end_of_the_event_type() {
    let signed_parts = || vec![Variable::Operation.into(), ".".into(), Variable::Body.into()];
    let (event_type, operation) =
        (("x-type", vec![Variable::EventType.into()]), ("x-operation", vec![Variable::Operation.into()]));

    let both = scheme(signed_parts(), vec![event_type.clone(), operation.clone()]);
    let parcel = signed(&both);
    assert_eq!((parcel.value("x-type"), parcel.value("x-operation")), (Some("user.created"), Some("created")));
    assert_eq!(verify(&both, &parcel), Ok(()));
    let contradicting = parcel.clone().with("x-type", "user.deleted");
    assert_eq!(verify(&both, &contradicting), Err(VerifyError::Contradiction("x-operation".to_owned())));

    let told_by_type =
        scheme([vec![Variable::EventType.into(), ":".into()], signed_parts()].concat(), vec![event_type]);
    let parcel = signed(&told_by_type);
    assert_eq!(verify(&told_by_type, &parcel), Ok(()));
    for other in ["user.deleted", "admin.created"] {
        assert_eq!(verify(&told_by_type, &parcel.clone().with("x-type", other)), Err(VerifyError::Mismatch));
    }
}

/// With the operation alone signed, `admin.created` would be as good as `user.created`.
#[test]
fn operation_is_not_told_by_an_event_type_that_may_be_changed() {
    let mut definition = SchemePreset::Shopify.scheme().definition().clone();
    definition.signed = vec![Variable::Operation.into(), ".".into(), Variable::Body.into()];
    definition.headers.push(SchemeHeader { name: "x-type".to_owned(), value: vec![Variable::EventType.into()] });
    let refused = SignatureScheme::new(definition).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].path, "signed[0].variable");
}

/// `{}.` + `a` and `{}` + `.a`: what stands after the body is told apart by what stands before it.
#[test]
fn parts_cannot_be_moved_into_the_body_before_them() {
    let scheme =
        scheme(vec![Variable::Body.into(), ".".into(), Variable::Id.into()], vec![("x-id", vec![Variable::Id.into()])]);
    let parcel = signed(&scheme);
    assert_eq!(verify(&scheme, &parcel), Ok(()));
    let id = parcel.value("x-id").unwrap().to_owned();
    let (head, tail) = id.split_at(3);
    let moved = parcel.clone().with("x-id", tail).with_body(format!("{{}}.{head}"));
    assert_eq!(verify(&scheme, &moved), Err(VerifyError::Mismatch));

    let dotted =
        Parcel::by(&scheme, &secrets(KeyForm::Text)[0], &super::super::Message { id: "b", ..message(b"{}.a") });
    let moved = dotted.with("x-id", "a.b").with_body("{}");
    assert_eq!(verify(&scheme, &moved), Err(VerifyError::Ambiguous { header: "x-id".to_owned(), mark: '.' }));
}

#[test]
fn constant_headers_have_to_be_there() {
    let scheme = scheme(vec![Variable::Body.into()], vec![("x-version", vec!["2".into()])]);
    let parcel = signed(&scheme);
    assert_eq!(verify(&scheme, &parcel), Ok(()));
    for other in ["3", "22", "2 "] {
        let refused = VerifyError::MalformedHeader { header: "x-version".to_owned(), form: "2".to_owned() };
        assert_eq!(verify(&scheme, &parcel.clone().with("x-version", other)), Err(refused));
    }
}

#[test]
fn hexadecimal_signatures_may_be_of_either_case() {
    let parcel = Parcel::of(SchemePreset::Parra, "secret", b"{}");
    let upper = parcel.value("parra-signature").unwrap().to_uppercase();
    let key = VerifyingKey::parse("secret", KeyForm::Text).unwrap();
    let parcel = parcel.with("parra-signature", &upper);
    assert!(parcel.verify(SchemePreset::Parra.scheme(), &[key], NOW, Duration::ZERO).is_ok());
}
