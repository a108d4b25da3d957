//! What stands between a server and its database: it counts round trips, and cuts connections at commits.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

/// Makes a turn that is one statement known as a commit: it stands in the payload of an event.
pub(super) const COMMIT_MARKER: &[u8] = b"{\"this\":\"commits\"}";

/// Cuts the connection instead of handing the commit on, or instead of handing the answer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Never = 0,
    Before = 1,
    After = 2,
}

pub(super) struct Wire {
    pub(super) url: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    cut: AtomicU8,
    round_trips: AtomicUsize,
}

impl Wire {
    pub(super) async fn to(database: &PostgresDatabase) -> Self {
        let mut url = database.url();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let seen = Arc::new(Seen::default());
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, TcpStream::connect(target.clone()).await.unwrap(), shared.clone()));
            }
        });
        Self { url: url.into(), seen }
    }

    /// The next commit meets this.
    pub(super) fn cut(&self, cut: Cut) {
        self.seen.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// How often the database has been asked something, on all connections.
    pub(super) fn round_trips(&self) -> usize {
        self.seen.round_trips.load(Ordering::SeqCst)
    }
}

async fn carry(mut client: TcpStream, mut database: TcpStream, seen: Arc<Seen>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut asking = false;
    loop {
        tokio::select! {
            Ok(read @ 1..) = client.read(&mut asked) => {
                if !std::mem::replace(&mut asking, true) {
                    seen.round_trips.fetch_add(1, Ordering::SeqCst);
                }
                let holds = |part: &[u8]| asked[..read].windows(part.len()).any(|window| window == part);
                let commits = holds(b"; COMMIT") || holds(COMMIT_MARKER);
                let cut = if commits { seen.cut.swap(Cut::Never as u8, Ordering::SeqCst) } else { Cut::Never as u8 };
                if cut == Cut::Before as u8 {
                    // The session stays behind, inside its transaction.
                    drop(client);
                    return std::future::pending().await;
                }
                database.write_all(&asked[..read]).await.unwrap();
                if cut == Cut::After as u8 {
                    assert_ne!(database.read(&mut answered).await.unwrap(), 0);
                    return;
                }
            }
            Ok(read @ 1..) = database.read(&mut answered) => {
                asking = false;
                if client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}
