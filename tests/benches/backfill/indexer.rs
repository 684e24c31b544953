//! The indexer under measurement: the release binary, a process of its own.

use std::{
    fs::File,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clickhouse::Client;
use x402_tests::{process::Process, shared::Shared};

use crate::EXE;

/// The longest that any scenario may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// A running indexer. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Indexer {
    child: Child,
    metrics_url: String,
    client: reqwest::Client,
}

impl Indexer {
    /// Starts it on a node and a database, with more flags.
    pub(crate) fn start(shared: &Shared, rpc: &str, database: &str, flags: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = free.local_addr().unwrap().to_string();
        drop(free);
        let log = std::env::temp_dir().join(format!("x402-bench-{database}.log"));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(EXE)
            .args(["indexer", "--rpc-url", rpc])
            .args(["--clickhouse-url", shared.clickhouse.url.as_str()])
            .args(["--clickhouse-database", database])
            .args(["--admin-listen", &admin])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            metrics_url: format!("http://{admin}/metrics"),
            client: reqwest::Client::new(),
        }
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// A metric's value; 0 while it does not answer yet.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let Ok(reply) = self.client.get(&self.metrics_url).send().await else {
            return 0;
        };
        let text = reply.text().await.unwrap_or_default();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.trim().parse().unwrap_or(0))
    }

    /// Waits until a metric has reached a value; returns when that was seen.
    pub(crate) async fn until(&mut self, name: &str, at_least: u64) -> Instant {
        let began = Instant::now();
        while self.metric(name).await < at_least {
            assert!(
                began.elapsed() < PATIENCE,
                "{name} did not reach {at_least}"
            );
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the indexer ended: {ended:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Instant::now()
    }

    /// Asks it to stop; returns how long it took.
    pub(crate) fn stop(mut self) -> Duration {
        let began = Instant::now();
        let id = i32::try_from(self.child.id()).unwrap();
        let id = nix::unistd::Pid::from_raw(id);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
        began.elapsed()
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A client of a database.
pub(crate) fn client(shared: &Shared, database: &str) -> Client {
    Client::default()
        .with_url(shared.clickhouse.url.as_str())
        .with_database(database)
}
