use std::{process::Stdio, time::Duration};

use tidings::proto::GetEventRequest;
use tokio::io::AsyncWriteExt as _;

use super::process::{Running, client, refusal, run, tidings};

struct Case {
    directory: tempfile::TempDir,
    server: String,
    serving: Running,
}

impl Case {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (serving, address) = Running::serve(directory.path(), "tidings.db").await;
        Self { directory, server: format!("http://{address}"), serving }
    }

    fn write(&self, lines: &[&str]) {
        std::fs::write(self.directory.path().join("events"), lines.join("\n")).unwrap();
    }

    async fn publish(&self, more: &[&str]) -> String {
        let arguments = [&["publish", "events", "--server", &self.server], more].concat();
        let output = run(self.directory.path(), &arguments).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn refused(&self) -> String {
        refusal(self.directory.path(), &["publish", "events", "--server", &self.server]).await
    }
}

#[tokio::test]
async fn lines_are_published_and_a_repeat_is_told_as_duplicates() {
    let case = Case::start().await;
    case.write(&[
        r#"{"id": "one", "type": "user.created", "payload": {"n" : 1.0}, "labels": {"k": "v"}}"#,
        "",
        r#"{"id": "two", "type": "user.created", "payload": null, "expire_time": "2126-01-01T00:00:00Z"}"#,
        r#"{"id": "three", "type": "user.created", "payload": 3}"#,
        "",
    ]);
    let said = case.refused().await;
    assert!(said.contains("line 3: the server refuses the request:\n  event.expire_time "), "{said}");
    assert!(said.contains("1 of the events were refused"), "{said}");
    assert_eq!(case.publish(&["--skip", "3"]).await, "0 published, 1 duplicates, 0 refused\n");
    let request = GetEventRequest { event_id: "one".to_owned(), ..Default::default() };
    let event = client(case.server.clone()).get_event(request).await.unwrap().into_inner().event.unwrap();
    assert_eq!(&event.payload[..], br#"{"n" : 1.0}"#);
    assert_eq!(event.labels["k"], "v");
}

#[tokio::test]
async fn lines_that_are_refused_or_no_events_are_told_by_number() {
    let case = Case::start().await;
    let good = r#"{"id": "one", "type": "user.created", "payload": 1}"#;
    case.write(&[good, r#"{"id": "a b", "type": "..", "payload": 1}"#, good]);
    let said = case.refused().await;
    assert!(said.starts_with("line 2: the server refuses the request:\n  event.id "), "{said}");
    assert!(said.contains("\n  event.type ") && said.contains("1 of the events were refused"), "{said}");
    for bad in ["{", r#"{"type": "a"}"#, r#"{"type": "a", "payload": 1, "tpye": "b"}"#] {
        case.write(&[good, "", bad, r#"{"id": "behind", "type": "a", "payload": 1}"#]);
        let said = case.refused().await;
        assert!(said.contains("line 3 is not an event") && said.contains("go on with --skip 2"), "{said}");
    }
    let behind = GetEventRequest { event_id: "behind".to_owned(), ..Default::default() };
    assert_eq!(client(case.server.clone()).get_event(behind).await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn run_that_is_cut_off_says_where_to_go_on() {
    let mut case = Case::start().await;
    let event = |n: u32| format!("{{\"id\": \"e{n}\", \"type\": \"a\", \"payload\": {n}}}");
    let lines: Vec<_> = (1..=20).map(event).collect();
    let mut command = tidings(case.directory.path(), &["publish", "--server", &case.server]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in &lines[..10] {
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    input.flush().await.unwrap();
    assert_eq!(case.serving.stop("TERM", Duration::from_secs(30)).await, Some(0));
    let output = child.wait_with_output().await.unwrap();
    drop(input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let skip = said.split("go on with --skip ").nth(1).expect(&said).split('.').next().unwrap().to_owned();
    let done: u64 = skip.parse().unwrap();
    assert!(done <= 10, "{said}");

    let (serving, address) = Running::serve(case.directory.path(), "tidings.db").await;
    (case.serving, case.server) = (serving, format!("http://{address}"));
    case.write(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let counted = case.publish(&["--skip", &skip]).await;
    let numbers: Vec<u64> = counted.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert_eq!((numbers[0] + numbers[1], numbers[2]), (20 - done, 0), "{counted}");
    assert!(numbers[0] >= 10, "{counted}");
    // Nothing is missing.
    assert_eq!(case.publish(&[]).await, "0 published, 20 duplicates, 0 refused\n");
}

#[tokio::test]
async fn standard_input_is_read_and_what_is_not_there_is_told() {
    let case = Case::start().await;
    let mut command = tidings(case.directory.path(), &["publish", "--server", &case.server]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for _ in 0..2_500 {
        input.write_all(b"{\"type\": \"a\", \"payload\": {}}\n").await.unwrap();
    }
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "2500 published, 0 duplicates, 0 refused\n");

    case.write(&[r#"{"type": "a", "payload": {}}"#]);
    let arguments = ["publish", "events", "--server", "http://127.0.0.1:1", "--skip", "0"];
    let said = refusal(case.directory.path(), &arguments).await;
    assert!(said.contains("no answer from the server") && said.contains("go on with --skip 0"), "{said}");
    let said = refusal(case.directory.path(), &["publish", "missing", "--server", "http://127.0.0.1:1"]).await;
    assert!(said.contains("cannot read missing"), "{said}");
}
