//! `x402 demo` as a process, with its traffic.

use std::{fs, path::Path, time::Duration};

use reqwest::Url;
use tempfile::TempDir;
use x402::local::child::{Child, DeathSignal, Program};

use crate::{shared, world::eventually};

/// How long the demo has to end in order.
const GRACE: Duration = Duration::from_secs(30);

/// A running demo; dropping it ends it.
#[derive(Debug)]
pub struct Demo {
    /// Host and port of its admin port.
    pub admin: String,
    /// Its ClickHouse, with the index in the database `x402`.
    pub clickhouse: Url,
    child: Child,
    _folder: TempDir,
}

impl Demo {
    /// Starts it on free ports and waits until its traffic begins.
    pub async fn start(exe: &str) -> Self {
        let launcher = &shared::shared(exe).await.launcher;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.x402/tools");
        let log = folder.path().join("demo.log");
        let child = launcher
            .start(Program {
                path: exe.into(),
                arguments: vec![
                    "demo".into(),
                    "--ports".into(),
                    "any".into(),
                    "--data-dir".into(),
                    folder.path().join("demo").into(),
                    "--tools-dir".into(),
                    tools.into(),
                ],
                environment: vec![("RUST_LOG", "warn".into())],
                at_parents_death: DeathSignal::Kill,
                log: log.clone(),
            })
            .await
            .expect("the demo can be started");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        eventually("the demo runs", async || said().contains("\nRunning until")).await;
        eventually("the demo has traffic", async || {
            said().contains("\nTraffic: ")
        })
        .await;
        let said = said();
        let (_, said) = said.split_once("\nRunning until").unwrap_or_default();
        let admin = after(said, "  metrics     http://");
        let clickhouse = after(said, "  ClickHouse  ");
        Self {
            admin: admin.trim_end_matches("/metrics").to_owned(),
            clickhouse: clickhouse.trim_end_matches("play").parse().unwrap(),
            child,
            _folder: folder,
        }
    }

    /// The database of its index.
    pub fn database(&self) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(self.clickhouse.as_str())
            .with_database("x402")
    }

    /// Ends it as Ctrl-C would; whether that went well.
    pub async fn stop(self) -> bool {
        let status = self.child.stop(GRACE).await;
        status.is_ok_and(|status| status.success())
    }
}

/// The word after what the demo prints before it.
fn after<'a>(said: &'a str, label: &str) -> &'a str {
    let rest = said.split(label).nth(1).unwrap_or_default();
    rest.split_whitespace()
        .next()
        .unwrap_or_else(|| panic!("the demo says {label}…: {said}"))
}
