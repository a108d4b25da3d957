//! Writes that the file system refuses: nothing is acknowledged that is not stored, and the server goes on by itself.

use http::StatusCode;
use tidings::proto::*;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    endpoint,
    ledger::{Fate, Ledger, event},
    process::Home,
    sink::{Sink, always},
};

/// No file of the server's may grow beyond this.
const FILE_BYTES_MAX: u64 = 2 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn refused_writes_are_never_acknowledged_and_the_server_recovers() {
    let home = Home::new(80).await;
    let sink = Sink::start(always(StatusCode::OK)).await;
    let process = home.start_limited(FILE_BYTES_MAX).await;
    endpoint(&process.client, &sink, "/a", None).await;
    let ledger = Ledger::default();
    let payload = format!("\"{}\"", "x".repeat(100_000));
    let (mut refused, mut number) = (0, 0);
    while refused < 5 {
        let id = format!("evt-{number}");
        ledger.enter(&id, payload.as_bytes(), Fate::Unknown);
        match process.client.clone().publish_event(event(&id, payload.as_bytes())).await {
            Ok(_) => ledger.enter(&id, payload.as_bytes(), Fate::Acknowledged),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                assert!(status.get_error_details().retry_info().is_some(), "{status:?}");
                refused += 1;
            }
        }
        number += 1;
        assert!(number < 1000, "the limit is never met");
    }
    assert!(ledger.acknowledged() > 0, "some were stored before the limit was met");
    // Reads go on meanwhile.
    let request = ListEndpointsRequest::default();
    assert_eq!(process.client.clone().list_endpoints(request).await.unwrap().into_inner().endpoints.len(), 1);

    process.lift_limit();
    // What was refused may be asked for again, with its id, until the server takes it: it is not slower than a call.
    for number in number..number + 10 {
        let id = format!("evt-{number}");
        ledger.enter(&id, payload.as_bytes(), Fate::Unknown);
        process.client.clone().publish_event(event(&id, payload.as_bytes())).await.unwrap();
        ledger.enter(&id, payload.as_bytes(), Fate::Acknowledged);
    }
    ledger.check(&home, process, &sink, &["/a"]).await;
}
