//! The statements that the script runs, as sqlx logs them. The database that is listened to logs at a level of its own, for
//! connections that other tests open by themselves may log at sqlx's.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::ConnectOptions;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::filter_fn,
    layer::{Context, SubscriberExt as _},
};

use crate::fixture::TestDatabase;

/// How a statement begins that reads or writes tables.
const VERBS: [&str; 5] = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"];

thread_local! {
    static IS_HEARD: Cell<bool> = const { Cell::new(false) };
}

/// Whether what is run on databases that this thread opens is logged.
pub(in crate::store) fn is_heard() -> bool {
    IS_HEARD.get()
}

/// Connections by these options log every statement so that it is heard.
pub(in crate::store) fn logged<O: ConnectOptions>(options: O) -> O {
    let level = || "trace".parse().expect("it is the name of a level");
    options.log_statements(level()).log_slow_statements(level(), Duration::MAX)
}

/// The texts that were run.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<BTreeSet<String>>>);

impl Heard {
    /// What hears of all that is [`logged`].
    pub(super) fn subscriber(&self) -> impl Subscriber + Send + Sync + 'static {
        let statements = filter_fn(|meta| meta.target() == "sqlx::query" && *meta.level() == Level::TRACE);
        Registry::default().with(self.clone().with_filter(statements))
    }

    /// Runs the script on a database, and returns each statement of it once.
    pub(super) async fn run(&self, database: &TestDatabase) -> BTreeSet<String> {
        // The second time that it is opened, so that the steps of the schema are not heard.
        super::open(database).await.db.close().await;
        IS_HEARD.set(true);
        let shared = super::open(database).await;
        IS_HEARD.set(false);
        super::run(shared).await;
        let texts = self.0.lock().unwrap();
        let statements = texts.iter().flat_map(|text| text.split(';').map(str::trim));
        statements.filter(|text| VERBS.iter().any(|verb| text.starts_with(verb))).map(str::to_owned).collect()
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let Text { summary, whole } = text;
        self.0.lock().unwrap().insert(if whole.is_empty() { summary } else { whole });
    }
}

/// A statement's text as sqlx logs it.
#[derive(Default)]
struct Text {
    /// Its first words; all of it if there are no more.
    summary: String,
    /// All of it, if there is more.
    whole: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
