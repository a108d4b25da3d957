//! A server with a certificate, and the command line as its client.

use std::{path::Path, time::Duration};

use tidings::receiver::Certificate;

use super::process::{Running, refusal, run};

const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// Writes a certificate for this machine as `NAME.pem`, and its key as `NAME.key`.
fn write_certificate(directory: &Path, name: &str) {
    let certificate = Certificate::self_signed(["127.0.0.1"]).unwrap();
    std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(directory.join(format!("{name}.key")), &*certificate.key_pem()).unwrap();
}

/// A server that listens on all addresses, which one without a certificate refuses, and its URL on loopback.
async fn serve(directory: &Path, more: &[&str]) -> (Running, String) {
    let all = ["serve", "--listen", "0.0.0.0:0", "--tls-cert", "server.pem", "--tls-key", "server.key"];
    let mut serving = Running::start(directory, &[&all[..], more].concat());
    let line = serving.line("listening on ").await;
    let port = line.rsplit(':').next().unwrap().to_owned();
    (serving, format!("https://127.0.0.1:{port}"))
}

#[tokio::test]
async fn command_line_trusts_the_certificate_that_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    ["server", "other"].iter().for_each(|name| write_certificate(directory.path(), name));
    let (mut serving, url) = serve(directory.path(), &[]).await;
    let list = ["tenants", "list", "--server", &url];

    let listed = run(directory.path(), &[&list[..], &["--server-ca-file", "server.pem"]].concat()).await;
    assert!(listed.status.success(), "{listed:?}");
    for (case, trust) in [("the system's roots alone", &[][..]), ("another root", &["--server-ca-file", "other.pem"])] {
        let said = refusal(directory.path(), &[&list[..], trust].concat()).await;
        assert!(said.contains("no answer from the server"), "{case}: {said}");
    }
    let plain = url.replace("https:", "http:");
    let said = refusal(directory.path(), &["tenants", "list", "--server", &plain]).await;
    assert!(said.contains("no answer from the server"), "{said}");
    let said = refusal(directory.path(), &[&list[..], &["--server-ca-file", "none.pem"]].concat()).await;
    assert!(said.contains("none.pem"), "{said}");
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
}

#[tokio::test]
async fn server_that_asks_for_certificates_lets_nobody_in_without_one() {
    let directory = tempfile::tempdir().unwrap();
    ["server", "client", "other"].iter().for_each(|name| write_certificate(directory.path(), name));
    let (mut serving, url) = serve(directory.path(), &["--tls-client-ca", "client.pem"]).await;
    let list = ["tenants", "list", "--server", &url, "--server-ca-file", "server.pem"];
    let shown = ["--client-cert", "client.pem", "--client-key", "client.key"];
    let listed = run(directory.path(), &[&list[..], &shown].concat()).await;
    assert!(listed.status.success(), "{listed:?}");
    let other = ["--client-cert", "other.pem", "--client-key", "other.key"];
    for (case, shown) in [("none", &[][..]), ("another's", &other)] {
        let said = refusal(directory.path(), &[&list[..], shown].concat()).await;
        assert!(said.contains("no answer from the server"), "{case}: {said}");
    }
    assert_eq!(serving.stop("TERM", STOP_DEADLINE).await, Some(0));
}

#[tokio::test]
async fn unusable_certificates_keep_the_server_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    ["server", "other"].iter().for_each(|name| write_certificate(directory.path(), name));
    for (key, why) in [("other.key", "cannot be used"), ("none.key", "none.key"), ("server.pem", "no private key")] {
        let tls = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", "server.pem", "--tls-key", key];
        let said = refusal(directory.path(), &tls).await;
        assert!(said.contains(why), "{said}");
    }
    assert!(!directory.path().join("tidings.db").exists());
}
