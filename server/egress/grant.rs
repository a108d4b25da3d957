//! Access tokens by a client's own credentials (RFC 6749, section 4.4): what is asked, and what the answer says.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::{Post, exchange::Line, failure::Failure};
use crate::model::{FailureKind, OAuth2Client, Outcome, SecretPlacement, check_bearer_token};

/// How long fetching a token may take, connecting included.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// So long before its end a token is not used any more: it has to arrive, and clocks differ.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token is used whose answer does not say how long it lasts.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// The longest that a token is used, whatever its answer says.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The codes of RFC 6749, section 5.2, which are repeated in details; nothing else of an answer is.
const CODES: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// An access token, as the header that bears it.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    /// Until when it is used.
    pub(super) good_until: Instant,
}

/// Fetches a token.
///
/// # Errors
/// A failure of the kind [`FailureKind::Authorization`], whatever went wrong.
pub(super) async fn fetch(line: Line, client: OAuth2Client) -> Result<Token, Failure> {
    let begun = Instant::now();
    let outcome = line.post(request(&client), begun).await;
    read(&outcome, begun).map_err(|why| Failure::new(FailureKind::Authorization, &format!("no access token: {why}")))
}

fn request(client: &OAuth2Client) -> Post {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let mut body = Serializer::new(String::new());
    body.append_pair("grant_type", "client_credentials");
    if !client.scopes.is_empty() {
        body.append_pair("scope", &client.scopes.join(" "));
    }
    match client.placement {
        SecretPlacement::Header => {
            // Section 2.3.1: each is encoded as a form before both are joined.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let joined = Zeroizing::new(format!("{}:{}", encoded(&client.client_id), encoded(&client.client_secret)));
            headers.insert(header::AUTHORIZATION, basic(&joined));
        }
        SecretPlacement::Body => {
            body.append_pair("client_id", &client.client_id).append_pair("client_secret", &client.client_secret);
        }
    }
    Post { url: client.token_url.clone(), headers, body: Bytes::from(body.finish()), timeout: FETCH_TIMEOUT }
}

/// The header of basic authentication (RFC 7617) for `name:password`.
pub(super) fn basic(joined: &str) -> HeaderValue {
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(joined)));
    sensitive(HeaderValue::from_str(&text).expect("base64 is visible ASCII"))
}

/// The header that bears a token; `None` if it holds what headers cannot.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {token}"));
    HeaderValue::from_str(&text).ok().map(sensitive)
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// An answer as section 5.1 has it.
#[derive(Deserialize)]
struct Granted {
    access_token: Zeroized,
    token_type: String,
    expires_in: Option<f64>,
}

/// Text that is wiped when it is dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Zeroized(Zeroizing<String>);

impl From<String> for Zeroized {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// An answer as section 5.2 has it.
#[derive(Deserialize)]
struct Refused {
    error: String,
}

fn read(outcome: &Outcome, begun: Instant) -> Result<Token, String> {
    match outcome.failure {
        Some(FailureKind::HttpStatus) => {
            let status = outcome.http_status.unwrap_or_default();
            let code = serde_json::from_slice::<Refused>(&outcome.response).ok();
            let code = code.and_then(|refused| CODES.into_iter().find(|code| *code == refused.error));
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            return Err(format!("the token endpoint answered {status}{code}"));
        }
        Some(_) => return Err(format!("at the token endpoint {}", outcome.detail)),
        None => {}
    }
    let granted: Granted = serde_json::from_slice(&outcome.response)
        .map_err(|_| "the token endpoint's answer is not JSON with `access_token` and `token_type`".to_owned())?;
    if !granted.token_type.eq_ignore_ascii_case("bearer") {
        return Err("the token endpoint's answer has a `token_type` that is not Bearer".to_owned());
    }
    let token = &granted.access_token.0;
    check_bearer_token(token).map_err(|_| "the token endpoint's `access_token` is not one of RFC 6750".to_owned())?;
    let header = bearer(token).ok_or("the token endpoint's `access_token` is no header's value")?;
    Ok(Token { header, good_until: begun + lifetime(granted.expires_in) })
}

/// How long a token is used that lasts for so many seconds.
fn lifetime(expires_in: Option<f64>) -> Duration {
    let lasts = match expires_in {
        None => return LIFETIME_DEFAULT,
        Some(secs) if secs.is_finite() && secs > 0.0 => Duration::from_secs_f64(secs.min(LIFETIME_MAX.as_secs_f64())),
        Some(_) => Duration::ZERO,
    };
    lasts - MARGIN.min(lasts / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(placement: SecretPlacement) -> OAuth2Client {
        OAuth2Client {
            token_url: "https://auth.example/token?x=1".parse().unwrap(),
            client_id: "an id:".to_owned(),
            client_secret: "s&cret é".to_owned().into(),
            scopes: vec!["a:b".to_owned(), "c".to_owned()],
            placement,
        }
    }

    fn answered(status: u16, body: &str) -> Outcome {
        Outcome {
            failure: (status != 200).then_some(FailureKind::HttpStatus),
            detail: String::new(),
            http_status: Some(status),
            retry_after: None,
            latency: Duration::ZERO,
            response: Bytes::copy_from_slice(body.as_bytes()),
            response_truncated: false,
            body_note: None,
        }
    }

    #[test]
    fn id_and_secret_stand_encoded_in_the_header() {
        let Post { headers, body, url, .. } = request(&client(SecretPlacement::Header));
        assert_eq!(url.as_str(), "https://auth.example/token?x=1");
        assert_eq!(body, "grant_type=client_credentials&scope=a%3Ab+c");
        let value = headers[header::AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(value).unwrap(), b"an+id%3A:s%26cret+%C3%A9");
        assert!(headers[header::AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn id_and_secret_stand_in_the_body_when_that_is_asked_for() {
        let Post { headers, body, .. } = request(&OAuth2Client { scopes: vec![], ..client(SecretPlacement::Body) });
        assert_eq!(body, "grant_type=client_credentials&client_id=an+id%3A&client_secret=s%26cret+%C3%A9");
        assert!(!headers.contains_key(header::AUTHORIZATION));
    }

    #[test]
    fn token_is_used_until_shortly_before_its_end() {
        let secs = |secs: u64| Duration::from_secs(secs);
        assert_eq!(lifetime(Some(3600.0)), secs(3570));
        assert_eq!(lifetime(Some(40.0)), secs(20));
        assert_eq!(lifetime(None), LIFETIME_DEFAULT);
        assert_eq!(lifetime(Some(1e300)), LIFETIME_MAX - MARGIN);
        for none in [0.0, -1.0, f64::NEG_INFINITY] {
            assert_eq!(lifetime(Some(none)), Duration::ZERO);
        }
    }

    #[test]
    fn granted_token_is_read() {
        let now = Instant::now();
        let answer =
            answered(200, r#"{"access_token": "abc.DEF==", "token_type": "bearer", "expires_in": 90, "x": []}"#);
        let token = read(&answer, now).unwrap();
        assert_eq!(token.header.to_str().unwrap(), "Bearer abc.DEF==");
        assert_eq!(token.good_until, now + Duration::from_secs(60));
        assert!(token.header.is_sensitive());
    }

    #[test]
    fn whatever_is_no_token_is_told_without_a_word_of_the_answer() {
        for (status, body, why) in [
            (400, r#"{"error": "invalid_client", "error_description": "canary"}"#, "400 (invalid_client)"),
            (401, r#"{"error": "canary"}"#, "answered 401"),
            (503, "canary", "answered 503"),
            (200, "canary", "not JSON"),
            (200, "", "not JSON"),
            (200, r#"{"access_token": "canary"}"#, "not JSON"),
            (200, r#"{"access_token": "canary", "token_type": "mac"}"#, "not Bearer"),
            (200, r#"{"access_token": "canary\r\nx: y", "token_type": "Bearer"}"#, "RFC 6750"),
            (200, r#"{"access_token": "", "token_type": "Bearer"}"#, "RFC 6750"),
        ] {
            let told = read(&answered(status, body), Instant::now()).err().expect(body);
            assert!(told.contains(why) && !told.contains("canary"), "{told}");
        }
    }
}
