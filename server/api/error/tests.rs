use super::*;

/// Every domain error, with what its status must say.
fn cases() -> Vec<(Error, Code, &'static str)> {
    let mut violations = Violations::default();
    violations.add("field", "is wrong");
    let refusal = configure::Refusal { field: "secret".to_owned(), problem: "is in use".to_owned() };
    let sqlx = || sqlx::Error::Protocol("SELECT secret FROM table".to_owned());
    let disabled = EndpointStatus::Disabled {
        reason: crate::model::DisableReason::Gone,
        since: crate::model::Timestamp::default(),
    };
    vec![
        (Error::Invalid(violations), Code::InvalidArgument, "INVALID_REQUEST"),
        (Error::NotFound(Resource::Event), Code::NotFound, "NOT_FOUND"),
        (configure::Error::NotFound.into(), Code::NotFound, "NOT_FOUND"),
        (configure::Error::Conflict.into(), Code::Aborted, "ETAG_MISMATCH"),
        (configure::Error::Refused(vec![refusal]).into(), Code::InvalidArgument, "INVALID_REQUEST"),
        (configure::Error::SchemeChanged.into(), Code::Aborted, "SCHEME_CHANGED"),
        (configure::Error::NoSuchSecret.into(), Code::NotFound, "NOT_FOUND"),
        (configure::Error::SecretStaged.into(), Code::FailedPrecondition, "SECRET_STAGED"),
        (configure::Error::LastSecret.into(), Code::FailedPrecondition, "LAST_SECRET"),
        (configure::Error::TooManySecrets.into(), Code::FailedPrecondition, "TOO_MANY_SECRETS"),
        (
            configure::Error::TooManyEventTypes { count: 10_001 }.into(),
            Code::FailedPrecondition,
            "TOO_MANY_EVENT_TYPES",
        ),
        (redrive::Error::NotFound.into(), Code::NotFound, "NOT_FOUND"),
        (redrive::Error::State(ShownState::Delivered).into(), Code::FailedPrecondition, "DELIVERY_STATE"),
        (redrive::Error::EndpointState(disabled).into(), Code::FailedPrecondition, "ENDPOINT_STATE"),
        (Reused.into(), Code::AlreadyExists, "REQUEST_ID_REUSED"),
        (configure::Error::Reused(Reused).into(), Code::AlreadyExists, "REQUEST_ID_REUSED"),
        (redrive::Error::Reused(Reused).into(), Code::AlreadyExists, "REQUEST_ID_REUSED"),
        (PublishError::Overloaded.into(), Code::ResourceExhausted, "OVERLOADED"),
        (PublishError::IdReused.into(), Code::AlreadyExists, "EVENT_ID_REUSED"),
        (PublishError::StorageFull.into(), Code::Unavailable, "STORAGE_FULL"),
        (PublishError::StorageUnavailable.into(), Code::Unavailable, "STORAGE_UNAVAILABLE"),
        (PublishError::ShuttingDown.into(), Code::Unavailable, "SHUTTING_DOWN"),
        (PublishError::Internal.into(), Code::Internal, "INTERNAL"),
        (WatchError::InvalidToken.into(), Code::InvalidArgument, "INVALID_RESUME_TOKEN"),
        (WatchError::Expired.into(), Code::OutOfRange, "RESUME_TOKEN_EXPIRED"),
        (WatchError::Rewound.into(), Code::OutOfRange, "LOG_REWOUND"),
        (WatchError::TooManyStreams.into(), Code::ResourceExhausted, "TOO_MANY_STREAMS"),
        (WatchError::SlowConsumer { resume_token: "t".to_owned() }.into(), Code::Aborted, "SLOW_CONSUMER"),
        (WatchError::ShuttingDown.into(), Code::Unavailable, "SHUTTING_DOWN"),
        (WatchError::Storage(store::Error::Full(sqlx())).into(), Code::Unavailable, "STORAGE_FULL"),
        (WatchError::Panicked.into(), Code::Internal, "INTERNAL"),
        (store::Error::Full(sqlx()).into(), Code::Unavailable, "STORAGE_FULL"),
        (store::Error::Unavailable(sqlx()).into(), Code::Unavailable, "STORAGE_UNAVAILABLE"),
        (store::Error::Data(sqlx()).into(), Code::Internal, "INTERNAL"),
        (store::Error::Corrupt("/var/lib/table".to_owned()).into(), Code::Internal, "INTERNAL"),
        (store::Error::Panicked.into(), Code::Internal, "INTERNAL"),
    ]
}

#[test]
fn every_error_has_its_code_reason_and_details() {
    for (error, code, reason) in cases() {
        let name = format!("{error:?}");
        let status = Status::from(error);
        assert_eq!(status.code(), code, "{name}");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "tidings.v1"), "{name}");
        let may_succeed_later = matches!(code, Code::Unavailable | Code::ResourceExhausted);
        assert_eq!(details.retry_info().is_some(), may_succeed_later, "{name}");
        assert_eq!(details.bad_request().is_some(), code == Code::InvalidArgument, "{name}");
        assert_eq!(details.precondition_failure().is_some(), code == Code::FailedPrecondition, "{name}");
    }
}

#[test]
fn no_message_shows_what_the_database_said() {
    for (error, _, _) in cases() {
        let status = Status::from(error);
        let shown = format!("{} {:?}", status.message(), status.get_error_details());
        assert!(!shown.contains("SELECT") && !shown.contains("/var/lib"), "{shown}");
    }
}

#[test]
fn state_errors_name_the_state() {
    let status = Status::from(Error::from(redrive::Error::State(ShownState::InFlight)));
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["state"], "IN_FLIGHT");
    assert!(status.message().contains("IN_FLIGHT"));
}

#[test]
fn slow_consumer_is_told_its_token() {
    let status = Status::from(Error::from(WatchError::SlowConsumer { resume_token: "abc".to_owned() }));
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata.get("resume_token").map(String::as_str), Some("abc"));
}
