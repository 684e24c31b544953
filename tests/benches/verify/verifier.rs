//! The verifier under measurement: the release binary, a process of its own.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use x402_tests::{process::Process, shared::Shared};

use crate::{EXE, gateway::Gateway, index::Index, payments::TOKEN};

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running verifier with claims of its own. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Verifier {
    child: Child,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Verifier {
    /// Starts one and waits until it is ready and has the index's tip.
    pub(crate) async fn start(
        shared: &Shared,
        gateway: &Gateway,
        index: &Index,
        flags: &[&str],
    ) -> Self {
        let (address, admin) = (free(), free());
        // Beside the build, so that claims go to a disk and not to a memory file system.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let log = std::env::temp_dir().join(format!("x402-{}.log", index.database));
        let child = Command::new(EXE)
            .args(["verifier", "--network", "devnet", "--token", TOKEN])
            .args(["--listen", &address.to_string()])
            .args(["--admin-listen", &admin.to_string()])
            .args(["--gateway-url", &gateway.url])
            .args(["--clickhouse-url", shared.clickhouse.url.as_str()])
            .args(["--clickhouse-database", &index.database])
            .arg("--data-dir")
            .arg(folder.path())
            .args(flags)
            .env("X402_SERVICE_TOKEN", "service-token-of-the-bench")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut verifier = Self {
            child,
            address,
            admin,
            client: reqwest::Client::new(),
            _folder: folder,
        };
        verifier.ready().await;
        verifier
            .until("x402_verifier_index_tip_block", index.tip())
            .await;
        verifier
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// A metric's value, labels included in its name; 0 when there is none.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let url = format!("http://{}/metrics", self.admin);
        let text = self.client.get(url).send().await.unwrap();
        let text = text.text().await.unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.trim().parse().unwrap_or(0))
    }

    /// Waits until a metric has reached a value.
    pub(crate) async fn until(&mut self, name: &str, at_least: u64) {
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
