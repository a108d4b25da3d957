use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tokio::io::AsyncWriteExt as _;

use super::process::{Running, refusal, run, tidings};

/// A server, and files beside its database.
struct Case {
    directory: tempfile::TempDir,
    server: String,
    /// Held while it runs.
    _serving: Running,
}

impl Case {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (serving, address) = Running::serve(directory.path(), "tidings.db").await;
        Self { directory, server: format!("http://{address}"), _serving: serving }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    async fn import(&self, file: &str) -> String {
        stdout(run(self.path(), &["event-types", "import", file, "--server", &self.server]).await)
    }

    async fn refused(&self, file: &str) -> String {
        refusal(self.path(), &["event-types", "import", file, "--server", &self.server]).await
    }

    async fn list(&self) -> Vec<String> {
        let listed = stdout(run(self.path(), &["event-types", "list", "--server", &self.server]).await);
        listed.lines().map(str::to_owned).collect()
    }
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn catalogue(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/catalogues").join(name)
}

#[tokio::test]
async fn file_is_imported_and_listed_by_name() {
    let case = Case::start().await;
    case.write("types.json", r#"{"eventTypes": [{"name": "b", "description": "second"}, {"name": "a"}]}"#);
    assert_eq!(case.import("types.json").await, "2 created, 0 updated, 0 unchanged\n");
    case.write("types.json", r#"{"event_types": [{"name": "b", "description": "changed"}, {"name": "a"}]}"#);
    assert_eq!(case.import("types.json").await, "0 created, 1 updated, 1 unchanged\n");
    assert_eq!(case.list().await, ["NAME  DESCRIPTION", "a", "b     changed"]);
}

#[tokio::test]
async fn standard_input_is_imported_and_the_environment_names_the_server() {
    let case = Case::start().await;
    let mut command = tidings(case.path(), &["event-types", "import", "-"]);
    let mut child = command.env("TIDINGS_SERVER", &case.server).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(br#"{"eventTypes": [{"name": "piped.in"}]}"#).await.unwrap();
    drop(stdin);
    assert_eq!(stdout(child.wait_with_output().await.unwrap()), "1 created, 0 updated, 0 unchanged\n");
    assert_eq!(case.list().await[1..], ["piped.in"]);
}

#[tokio::test]
async fn list_shows_more_than_a_page() {
    let case = Case::start().await;
    let entries = |range: std::ops::Range<usize>| {
        let entries: Vec<_> = range.map(|number| format!(r#"{{"name": "t.{number:04}"}}"#)).collect();
        format!(r#"{{"eventTypes": [{}]}}"#, entries.join(","))
    };
    for (range, created) in [(0..1_000, 1_000), (1_000..1_010, 10)] {
        case.write("types.json", &entries(range));
        assert_eq!(case.import("types.json").await, format!("{created} created, 0 updated, 0 unchanged\n"));
    }
    let lines = case.list().await;
    assert_eq!(lines.len(), 1 + 1_010);
    assert!(lines[1..].iter().enumerate().all(|(number, line)| *line == format!("t.{number:04}")), "{lines:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_with_its_place() {
    let case = Case::start().await;
    let missing = case.refused("missing.json").await;
    assert!(missing.starts_with("tidings: cannot read missing.json: No such file"), "{missing}");
    case.write("types.json", "{\n  \"eventTypes\": [\n    {\"name\": \"a\", \"summary\": \"x\"}\n  ]\n}\n");
    let unknown = case.refused("types.json").await;
    assert!(unknown.contains("types.json is not a catalogue: unknown field `summary`"), "{unknown}");
    assert!(unknown.contains("at line 3 column"), "{unknown}");
    case.write("types.json", r#"{"eventTypes": [{"name": "a b"}, {"name": "c", "description": "x"}, {"name": "c"}]}"#);
    let violations = case.refused("types.json").await;
    let lines: Vec<_> = violations.lines().collect();
    let [head, first, second] = lines.as_slice() else { panic!("{violations}") };
    assert_eq!(*head, "tidings: the server refuses the request:");
    assert!(first.starts_with("  event_types[0].name must be "), "{first}");
    assert!(second.starts_with("  event_types[2].name repeats "), "{second}");
    assert_eq!(case.list().await.len(), 1, "nothing was imported");
}

#[tokio::test]
async fn tenants_of_file_and_command_line_have_to_agree() {
    let case = Case::start().await;
    case.write("types.json", r#"{"tenantId": "default", "eventTypes": [{"name": "a"}]}"#);
    let arguments = ["event-types", "import", "types.json", "--server", &case.server, "--tenant", "default"];
    assert_eq!(stdout(run(case.path(), &arguments).await), "1 created, 0 updated, 0 unchanged\n");
    let arguments = ["event-types", "import", "types.json", "--server", &case.server, "--tenant", "acme"];
    let said = refusal(case.path(), &arguments).await;
    assert!(said.contains("the file is for tenant `default`, but --tenant says `acme`"), "{said}");
    let arguments = ["event-types", "list", "--server", &case.server, "--tenant", "acme"];
    let said = refusal(case.path(), &arguments).await;
    assert!(said.contains("no such tenant"), "{said}");
}

#[tokio::test]
async fn server_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let said = refusal(directory.path(), &["event-types", "list", "--server", &server]).await;
    assert!(said.starts_with(&format!("tidings: no answer from the server at {server}: ")), "{said}");
    let said = refusal(directory.path(), &["event-types", "list", "--server", "not a url"]).await;
    assert!(said.contains("`not a url` is not the URL of a server"), "{said}");
}

/// The number of types that each of our catalogues has; together with what is refused, that none is there twice.
const CATALOGUES: [(&str, usize); 4] =
    [("erudika-para.json", 8 * 6), ("para.json", 9), ("parra.json", 5 * 3), ("partylayer.json", 2)];

#[tokio::test]
async fn every_example_catalogue_is_imported_whole() {
    let folder = std::fs::read_dir(catalogue("")).unwrap();
    let mut files: Vec<String> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|file| file.ends_with(".json"));
    files.sort();
    assert_eq!(files, CATALOGUES.map(|(file, _)| file));
    for (file, count) in CATALOGUES {
        let case = Case::start().await;
        let imported = case.import(catalogue(file).to_str().unwrap()).await;
        assert_eq!(imported, format!("{count} created, 0 updated, 0 unchanged\n"), "{file}");
        let lines = case.list().await;
        assert_eq!(lines.len(), 1 + count, "{file}");
        assert!(lines.iter().all(|line| line.split_whitespace().count() > 1), "{file}: every type is described");
    }
}

#[tokio::test]
async fn erudika_para_has_each_operation_on_each_of_its_types() {
    let text = std::fs::read_to_string(catalogue("erudika-para.json")).unwrap();
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names = read["eventTypes"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap());
    let mut expected = Vec::new();
    for object in ["address", "app", "linker", "sysprop", "tag", "translation", "user", "vote"] {
        for operation in ["create", "update", "delete", "createAll", "updateAll", "deleteAll"] {
            expected.push(format!("{object}.{operation}"));
        }
    }
    assert_eq!(names.collect::<Vec<_>>(), expected);
}
