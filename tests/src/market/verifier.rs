//! The verifier under measurement: the release binary, a process of its own.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::Url;
use tempfile::TempDir;

use super::{gateway::Gateway, index::Index, payments::TOKEN};
use crate::process::Process;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running verifier with claims of its own. Dropping it kills it.
#[derive(Debug)]
pub struct Verifier {
    command: Command,
    child: Child,
    /// Where providers reach it.
    pub address: SocketAddr,
    admin: SocketAddr,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Verifier {
    /// Starts one and waits until it is ready and has the index's tip. `folder` is where its claims
    /// are made a folder of their own: on a disk, for a measurement.
    pub async fn start(
        exe: &str,
        folder: &str,
        clickhouse: &Url,
        gateway: &Gateway,
        index: &Index,
        flags: &[&str],
    ) -> Self {
        let (address, admin) = (free(), free());
        let folder = tempfile::tempdir_in(folder).unwrap();
        let log = std::env::temp_dir().join(format!("x402-{}.log", index.database));
        let mut command = Command::new(exe);
        command
            .args(["verifier", "--network", "devnet", "--token", TOKEN])
            .args(["--listen", &address.to_string()])
            .args(["--admin-listen", &admin.to_string()])
            .args(["--gateway-url", &gateway.url])
            .args(["--clickhouse-url", clickhouse.as_str()])
            .args(["--clickhouse-database", &index.database])
            .arg("--data-dir")
            .arg(folder.path())
            .args(flags)
            .env("X402_SERVICE_TOKEN", "service-token-of-the-market")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap());
        let mut verifier = Self {
            child: command.spawn().unwrap(),
            command,
            address,
            admin,
            client: reqwest::Client::new(),
            _folder: folder,
        };
        verifier.caught_up(index).await;
        verifier
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after it was killed, with the claims that it had.
    pub async fn revive(&mut self, index: &Index) {
        self.child = self.command.spawn().unwrap();
        self.caught_up(index).await;
    }

    /// Waits until it is ready and has the index's tip.
    pub async fn caught_up(&mut self, index: &Index) {
        self.ready().await;
        self.until("x402_verifier_index_tip_block", index.tip())
            .await;
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// A metric's value, labels included in its name; 0 when there is none.
    pub async fn metric(&self, name: &str) -> u64 {
        let url = format!("http://{}/metrics", self.admin);
        let text = self.client.get(url).send().await.unwrap();
        let text = text.text().await.unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.trim().parse().unwrap_or(0))
    }

    /// Waits until a metric has reached a value.
    pub async fn until(&mut self, name: &str, at_least: u64) {
        let began = Instant::now();
        while self.metric(name).await < at_least {
            self.wait(&began, name).await;
        }
    }

    async fn ready(&mut self) {
        let began = Instant::now();
        let url = format!("http://{}/readyz", self.admin);
        loop {
            let answer = self.client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            self.wait(&began, "readiness").await;
        }
    }

    async fn wait(&mut self, began: &Instant, what: &str) {
        assert!(began.elapsed() < PATIENCE, "{what} is not reached");
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the verifier ended: {ended:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
