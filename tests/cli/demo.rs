use std::{path::Path, time::Duration};

use tidings::proto::ListEndpointsRequest;
use tokio::net::TcpListener;

use super::process::{Running, client_with, refusal, run};

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[tokio::test]
async fn demo_delivers_and_verifies_everything_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["demo"]).await;
    let (shown, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{shown}{errors}");
    for line in [
        "events      2211 published; 1 duplicate recognised",
        "deliveries  2214 of 2214 delivered, in 2220 attempts (6 retries)",
        "signatures  2220 of 2220 verified; 4 by the old and by the new secret",
        "everything arrived, byte for byte, and verified",
    ] {
        assert!(shown.lines().any(|shown| shown.trim() == line), "{line:?} is not in {shown}");
    }
    let transitions = |kind: &str| shown.lines().filter(|line| line.contains(&format!("Z  {kind} "))).count();
    assert_eq!(["queued", "retry", "delivered", "dead"].map(transitions), [14, 6, 14, 0], "{shown}");
    assert!(!shown.contains('\x1b') && errors.is_empty(), "a pipe gets plain text alone: {shown:?} {errors:?}");
    assert!(is_empty(directory.path()));
}

#[tokio::test]
async fn demo_that_is_kept_answers_calls_until_it_is_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Running::start(directory.path(), &["demo", "--keep", "--listen", "127.0.0.1:0"]);
    let key = demo.line("export TIDINGS_API_KEY=").await.split_once('=').unwrap().1.to_owned();
    let watch = demo.line("tidings watch --server ").await;
    let server = watch.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    demo.line("Ctrl-C ends it.").await;
    let endpoints =
        client_with(&key, server).list_endpoints(ListEndpointsRequest::default()).await.unwrap().into_inner();
    assert_eq!(endpoints.endpoints.len(), 2);
    assert_eq!(demo.stop("INT", Duration::from_secs(15)).await, Some(0));
    assert!(is_empty(directory.path()));
}

#[tokio::test]
async fn demo_that_is_interrupted_says_so_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Running::start(directory.path(), &["demo"]);
    demo.line("Z  retry ").await;
    assert_eq!(demo.stop("TERM", Duration::from_secs(15)).await, Some(1));
    assert!(is_empty(directory.path()));
}

#[tokio::test]
async fn demo_without_its_port_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(directory.path(), &["demo", "--listen", &address]).await;
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    let said = refusal(directory.path(), &["demo", "--listen", "0.0.0.0:0"]).await;
    assert!(said.contains("is not a loopback address"), "{said}");
    assert!(is_empty(directory.path()));
}
