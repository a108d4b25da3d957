//! Credentials by which the server is known to endpoints: all of one endpoint's sealed together.

use std::{borrow::Cow, collections::HashMap};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Conn, Error, Result, Tx,
    packed::{fetch_packed, read_hex},
    seal::{Keyring, Place, SealedTable},
    sql::execute,
};
use crate::model::{
    ClientCertificate, Credentials, EndpointKey, HttpCredentials, OAuth2Client, SecretPlacement, TenantKey,
};

/// Credentials as they are sealed. What is read is moved on to where it is wiped, never copied.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<PlainHttp<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<PlainCertificate<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum PlainHttp<'a> {
    Basic {
        username: Cow<'a, str>,
        password: Cow<'a, str>,
    },
    Bearer {
        token: Cow<'a, str>,
    },
    OAuth2 {
        token_url: Cow<'a, str>,
        client_id: Cow<'a, str>,
        client_secret: Cow<'a, str>,
        scopes: Vec<Cow<'a, str>>,
        placement: SecretPlacement,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainCertificate<'a> {
    chain: Cow<'a, str>,
    key: Cow<'a, str>,
    fingerprint: [u8; 32],
}

/// Puts these credentials in the place of those an endpoint had.
pub(crate) async fn replace(
    tx: &mut Tx,
    keyring: &Keyring,
    tenant: TenantKey,
    endpoint: EndpointKey,
    credentials: &Credentials,
) -> Result<()> {
    if credentials.is_empty() {
        return delete(tx, endpoint).await;
    }
    let written = write(credentials);
    // Of its full length from the start: growing would leave copies behind that nobody wipes.
    let length = serde_json::to_vec(&written).map(Zeroizing::new).map_err(unwritable)?.len();
    let mut plain = Zeroizing::new(Vec::with_capacity(length));
    serde_json::to_writer(&mut *plain, &written).map_err(unwritable)?;
    let sealed = keyring.seal(place(tenant, endpoint), &plain);
    let sql = "INSERT INTO endpoint_credentials (endpoint, tenant, sealed) VALUES ($1, $2, $3) \
               ON CONFLICT (endpoint) DO UPDATE SET sealed = excluded.sealed";
    execute!(&mut tx.conn, sql, endpoint.0, tenant.0, sealed)?;
    Ok(())
}

/// Erases the credentials of an endpoint.
pub(crate) async fn delete(tx: &mut Tx, endpoint: EndpointKey) -> Result<()> {
    execute!(&mut tx.conn, "DELETE FROM endpoint_credentials WHERE endpoint = $1", endpoint.0)?;
    Ok(())
}

/// The credentials of the endpoints whose keys lie in `first..=last`, opened; endpoints without any are left out.
pub(crate) async fn load(
    conn: &mut Conn,
    keyring: &Keyring,
    first: EndpointKey,
    last: EndpointKey,
) -> Result<HashMap<EndpointKey, Credentials>> {
    let rows: Vec<(i64, i64, String)> = fetch_packed!(
        conn,
        sealed "endpoint, tenant",
        "endpoint_credentials WHERE endpoint BETWEEN $1 AND $2",
        first.0,
        last.0
    )?;
    rows.into_iter()
        .map(|(endpoint, tenant, sealed)| {
            let key = EndpointKey(endpoint);
            let sealed =
                read_hex(&sealed).ok_or_else(|| Error::Corrupt(format!("credentials of endpoint {endpoint}")))?;
            let opened =
                keyring.open(place(TenantKey(tenant), key), &sealed).map_err(|error| Error::Key(error.to_string()))?;
            let credentials = serde_json::from_slice(&opened).ok().and_then(read);
            let corrupt = || Error::Corrupt(format!("credentials of endpoint {endpoint}"));
            Ok((key, credentials.ok_or_else(corrupt)?))
        })
        .collect()
}

fn write(credentials: &Credentials) -> Plain<'_> {
    let http = credentials.http.as_ref().map(|http| match http {
        HttpCredentials::Basic { username, password } => {
            PlainHttp::Basic { username: username.into(), password: password.as_str().into() }
        }
        HttpCredentials::Bearer(token) => PlainHttp::Bearer { token: token.as_str().into() },
        HttpCredentials::OAuth2(client) => PlainHttp::OAuth2 {
            token_url: client.token_url.as_str().into(),
            client_id: client.client_id.as_str().into(),
            client_secret: client.client_secret.as_str().into(),
            scopes: client.scopes.iter().map(Cow::from).collect(),
            placement: client.placement,
        },
    });
    let certificate = credentials.certificate.as_ref().map(|certificate| PlainCertificate {
        chain: certificate.chain.as_str().into(),
        key: certificate.key.as_str().into(),
        fingerprint: certificate.fingerprint,
    });
    Plain { http, certificate }
}

/// `None` if a URL is none.
fn read(plain: Plain<'_>) -> Option<Credentials> {
    let secret = |text: Cow<'_, str>| Zeroizing::new(text.into_owned());
    let http = match plain.http {
        None => None,
        Some(PlainHttp::Basic { username, password }) => {
            Some(HttpCredentials::Basic { username: username.into_owned(), password: secret(password) })
        }
        Some(PlainHttp::Bearer { token }) => Some(HttpCredentials::Bearer(secret(token))),
        Some(PlainHttp::OAuth2 { token_url, client_id, client_secret, scopes, placement }) => {
            Some(HttpCredentials::OAuth2(OAuth2Client {
                token_url: token_url.parse().ok()?,
                client_id: client_id.into_owned(),
                client_secret: secret(client_secret),
                scopes: scopes.into_iter().map(Cow::into_owned).collect(),
                placement,
            }))
        }
    };
    let certificate = plain.certificate.map(|PlainCertificate { chain, key, fingerprint }| ClientCertificate {
        chain: chain.into_owned(),
        key: secret(key),
        fingerprint,
    });
    Some(Credentials { http, certificate })
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::Corrupt(error.to_string())
}

fn place(tenant: TenantKey, endpoint: EndpointKey) -> Place<'static> {
    SealedTable::EndpointCredentials.numbered(tenant.0, endpoint.0)
}
