//! The nouns: tenants, endpoints, events, deliveries, attempts, and the rules that need nothing but them.
//!
//! Pure: no I/O, no async, no database, no network library. Time and randomness are passed in.

mod address;
mod api_key;
mod attempt;
mod audit;
mod backlog;
mod credentials;
mod custom_header;
mod delivery;
mod echo;
mod endpoint;
mod endpoint_url;
pub mod envelope;
mod event;
mod event_type;
mod filter;
mod header;
mod id;
mod key;
mod media_type;
mod retry;
pub mod schema;
mod scope;
mod secret;
mod style;
mod tenant;
mod time;
mod transition;
mod unshown;
mod url;

pub use self::{
    address::{AddressPolicy, Cidr},
    api_key::{API_KEY_PREFIX, ApiKey, ApiKeyId, HeldKey},
    attempt::{Attempt, AttemptResult, FailureKind, Outcome},
    audit::{Actor, AuditEntry, AuditFilter},
    backlog::{Activation, Backlog, Drain, DrainRate, OnBacklog, Standing},
    credentials::{
        ClientCertificate, Credentials, CredentialsConflict, CredentialsSummary, HttpCredentials, HttpCredentialsKind,
        OAuth2Client, SCOPES_MAX, SecretPlacement, check_bearer_token, check_client_id, check_client_secret,
        check_password, check_scope, check_username, credentials_conflicts,
    },
    custom_header::{
        CustomHeader, HEADERS_BYTES_MAX, HEADERS_MAX, check_custom_header_name, check_custom_header_value,
        headers_taken,
    },
    delivery::{Delivery, DeliveryFilter, DeliveryState, ShownState},
    echo::echo,
    endpoint::{
        DeliveryPolicy, DisableReason, Endpoint, EndpointSettings, EndpointStatus, FAILING_MAX, FAILING_WARNED,
    },
    endpoint_url::EndpointUrl,
    event::{DEFAULT_CONTENT_TYPE, Event, EventContent, EventFilter, EventTimes, NewEvent},
    event_type::{EventType, EventTypeFilter, EventTypeSettings},
    filter::{EVENT_TYPE_BYTES_MAX, PATTERNS_MAX, PatternError, TypeFilter, is_event_type},
    header::{HEADER_NAME_BYTES_MAX, HeaderNameError, check_header_name},
    id::{AttemptId, IdCodec, IdError},
    key::{DeliveryKey, EndpointKey, EventKey, Incarnation, SecretKey, TenantKey},
    media_type::is_json_media_type,
    retry::{Decision, RetrySchedule, decide},
    scope::{Scope, Scopes},
    secret::{Begin, Secret, signing},
    style::{ChosenScheme, EndpointScheme, SCHEMES_MAX, SchemeChoice, Style, StyleChoice, StylePreset, StyleViolation},
    tenant::{Quotas, SchemaCheck, Tenant},
    time::{Clock, Timestamp},
    transition::{LogBody, LogEntry, LogEvent, TransitionKind},
    url::{UrlError, UrlPolicy},
};
pub(crate) use self::{
    event_type::operation,
    unshown::{Size, Unshown, debug_unshown},
};
