//! Connections that keep to the rules, and those that do not, over real sockets.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt as _;

use super::*;
use crate::receiver::Certificate;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A test that waits this long has failed.
const SOON: Duration = Duration::from_secs(30);

/// Short enough to be waited for.
const SHORT: Duration = Duration::from_millis(50);

/// Long enough that no test sees its end.
const LONG: Duration = Duration::from_secs(3_600);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it did not end in time")
}

/// A listener, and what it lets through. It ends with the stream.
async fn listen(config: Config) -> (SocketAddr, ReceiverStream<std::io::Result<Connection>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, incoming(listener, config, CancellationToken::new()))
}

/// Reads what comes until the connection ends; returns how it ended.
async fn read_to_end(connection: Connection) -> std::io::Result<Vec<u8>> {
    let mut connection = connection;
    let mut bytes = Vec::new();
    soon(connection.read_to_end(&mut bytes)).await.map(|_| bytes)
}

async fn next(connections: &mut ReceiverStream<std::io::Result<Connection>>) -> Connection {
    soon(connections.next()).await.expect("a connection").unwrap()
}

#[tokio::test]
async fn connection_that_says_nothing_or_half_a_greeting_is_cut_off() {
    let (address, mut connections) = listen(Config { greeting_max: SHORT, ..Config::default() }).await;
    for said in [&b""[..], b"P", &PREFACE[..23]] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(said).await.unwrap();
        let end = read_to_end(next(&mut connections).await).await.unwrap_err();
        assert_eq!(end.kind(), std::io::ErrorKind::TimedOut, "{said:?}");
    }
}

#[tokio::test]
async fn connection_of_http2_may_stay_and_one_of_http1_may_for_a_while() {
    let config = Config { greeting_max: LONG, http1_max: SHORT, ..Config::default() };
    let (address, mut connections) = listen(config).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(PREFACE).await.unwrap();
    let mut http2 = next(&mut connections).await;
    let mut greeting = [0; PREFACE.len()];
    soon(http2.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(greeting, PREFACE);

    let mut other = TcpStream::connect(address).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let end = read_to_end(next(&mut connections).await).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::TimedOut);

    // Longer than the other was let stay.
    client.write_all(b"more").await.unwrap();
    let mut more = [0; 4];
    soon(http2.read_exact(&mut more)).await.unwrap();
    assert_eq!(&more, b"more");
}

#[tokio::test]
async fn connection_beyond_the_bound_is_closed_and_its_place_is_free_once_another_ends() {
    let (address, mut connections) = listen(Config { connections_per_address_max: 1, ..Config::default() }).await;
    let _client = TcpStream::connect(address).await.unwrap();
    let first = next(&mut connections).await;
    let mut refused = TcpStream::connect(address).await.unwrap();
    assert_eq!(soon(refused.read(&mut [0; 1])).await.unwrap_or(0), 0);
    drop(first);
    let _again = TcpStream::connect(address).await.unwrap();
    drop(next(&mut connections).await);
}

/// Writes a certificate and its key to files of the names that `files` gives.
fn write(directory: &Path, certificate: &Certificate) {
    std::fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), &*certificate.key_pem()).unwrap();
}

fn files(directory: &Path) -> TlsFiles {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    TlsFiles { certificate, key, client_authorities: None }
}

/// A handshake with a server that is to have this certificate, as a client that has the other one.
async fn handshake(address: SocketAddr, server: &Certificate, client: Option<&Certificate>) -> std::io::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(server.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key_pem().as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![own.der().clone()], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("tidings.test").unwrap();
    let stream = TcpStream::connect(address).await?;
    let mut stream = soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(PREFACE).await?;
    // A server that wants another certificate says so only after the handshake (RFC 8446, section 4.4.2.4).
    match tokio::time::timeout(SHORT, stream.read(&mut [0; 1])).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

fn certificate() -> Certificate {
    Certificate::self_signed(["tidings.test"]).unwrap()
}

#[tokio::test]
async fn certificate_is_renewed_without_a_restart_and_a_broken_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second, third) = (certificate(), certificate(), certificate());
    write(directory.path(), &first);
    let tls = Tls::read(files(directory.path())).unwrap();
    let (address, _connections) = listen(Config { tls: Some(tls.clone()), ..Config::default() }).await;
    handshake(address, &first, None).await.unwrap();
    handshake(address, &second, None).await.unwrap_err();

    write(directory.path(), &second);
    tls.renew();
    handshake(address, &second, None).await.unwrap();
    handshake(address, &first, None).await.unwrap_err();

    // A new certificate beside the old key, as it is halfway through a rotation.
    std::fs::write(directory.path().join("cert.pem"), third.pem()).unwrap();
    tls.renew();
    handshake(address, &second, None).await.unwrap();
}

#[tokio::test]
async fn mutual_tls_lets_in_whom_an_authority_vouches_for() {
    let directory = tempfile::tempdir().unwrap();
    let (server, known, unknown) = (certificate(), certificate(), certificate());
    write(directory.path(), &server);
    let authorities = directory.path().join("clients.pem");
    std::fs::write(&authorities, known.pem()).unwrap();
    let files = TlsFiles { client_authorities: Some(authorities), ..files(directory.path()) };
    let (address, _connections) = listen(Config { tls: Some(Tls::read(files).unwrap()), ..Config::default() }).await;
    handshake(address, &server, Some(&known)).await.unwrap();
    handshake(address, &server, Some(&unknown)).await.unwrap_err();
    handshake(address, &server, None).await.unwrap_err();
}

#[tokio::test]
async fn half_a_tls_handshake_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &certificate());
    let tls = Some(Tls::read(files(directory.path())).unwrap());
    let (address, _connections) = listen(Config { tls, greeting_max: SHORT, ..Config::default() }).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    // The head of a record that does not come.
    client.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    assert_eq!(soon(client.read(&mut [0; 64])).await.unwrap_or(0), 0);
}

#[test]
fn unusable_certificates_are_refused_by_their_files() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let said = |files: &TlsFiles| Tls::read(files.clone()).unwrap_err().to_string();
    assert!(said(&files).starts_with("cannot read ") && said(&files).ends_with("cert.pem"));
    write(directory.path(), &certificate());
    assert!(Tls::read(files.clone()).is_ok());
    std::fs::write(&files.key, &*certificate().key_pem()).unwrap();
    assert_eq!(said(&files), "the certificates cannot be used");
    std::fs::write(&files.key, "nothing").unwrap();
    assert!(said(&files).ends_with("key.pem holds no private key in PEM"));
    std::fs::write(&files.certificate, "nothing").unwrap();
    assert!(said(&files).ends_with("cert.pem holds no certificate in PEM"));
}
