//! Sealing everything anew, killed after each batch.

use std::{os::unix::process::ExitStatusExt as _, sync::Arc};

use http::StatusCode;

use crate::{
    endpoint,
    process::Home,
    publish,
    sink::{Sink, always},
};

/// One for each table.
const BATCHES: usize = 5;

#[tokio::test]
async fn work_that_is_killed_after_each_batch_goes_on_and_both_keys_open_what_is_there() {
    let mut home = Home::new(0).await;
    let sink = Arc::new(Sink::start(always(StatusCode::OK)).await);
    let process = home.start().await;
    endpoint(&process.client, &sink, "/a", None).await;
    process.stop().await;

    // The key is made by the first run; those that follow go on with it.
    for batch in 1..=BATCHES {
        let crash_at = format!("after-reseal-batch:{batch}");
        let killed = home.reseal(batch == 1, Some(&crash_at)).await;
        assert_eq!(killed.status.signal(), Some(6), "{killed:?}");
        let process = home.start().await;
        publish(&process.client, &format!("batch-{batch}")).await;
        sink.until_count(batch).await;
        process.stop().await;
    }
    let ended = home.reseal(false, None).await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stdout).contains("Not needed any more"), "{ended:?}");
    home.forget_older_keys();
    let process = home.start().await;
    publish(&process.client, "after").await;
    sink.until_count(BATCHES + 1).await;
    sink.check();
    process.stop().await;
}
