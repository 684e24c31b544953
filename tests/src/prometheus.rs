//! The real Prometheus with our configuration and our rules, for what a test runs.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Url;
use serde::{Deserialize, de::DeserializeOwned};
use tempfile::TempDir;
use x402::local::{
    child::{Child, DeathSignal, Launcher, Program},
    server::{self, Server},
};

/// Seconds between two scrapes, and between two evaluations of the rules.
pub const SCRAPE_SECONDS: i64 = 2;

const PROGRAM: &str = "prometheus";
/// What the configuration says, and a test says otherwise.
const TARGET: &str = "127.0.0.1:9100";
const INTERVAL: &str = "_interval: 15s";
const RULES: &str = "- x402.rules.yml";

/// A running Prometheus; dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    /// Where it answers.
    pub url: Url,
    _child: Child,
    _folder: TempDir,
}

/// One series of an answer.
#[derive(Debug, Deserialize)]
pub struct Sample {
    /// Its labels.
    pub metric: BTreeMap<String, String>,
    /// When, in Unix seconds, and how much.
    pub value: (f64, String),
}

/// Something that Prometheus scrapes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// `up`, once it was scraped.
    pub health: String,
    /// Why it was not.
    pub last_error: String,
}

/// A rule as it was evaluated last.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluatedRule {
    /// What it records, or the alert.
    pub name: String,
    /// `ok`, `err` or `unknown`.
    pub health: String,
    /// Why it was not evaluated.
    #[serde(default)]
    pub last_error: String,
    /// `recording` or `alerting`.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Samples {
    result: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<EvaluatedRule>,
}

impl Prometheus {
    /// Starts it for the process whose admin port is at `target`.
    ///
    /// # Panics
    /// If Prometheus is not installed or does not start.
    pub async fn start(launcher: &Launcher, target: &str) -> Self {
        let program = installed().expect(
            "prometheus is not installed; on Debian: apt-get install --no-install-recommends prometheus",
        );
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let service = Service {
            program,
            folder: folder.path().to_owned(),
            target: target.to_owned(),
        };
        let Server { child, port, .. } = server::start(launcher, &service, None)
            .await
            .unwrap_or_else(|error| panic!("Prometheus starts: {error}"));
        let url = format!("http://127.0.0.1:{port}/").parse();
        Self {
            url: url.expect("a port makes a URL"),
            _child: child,
            _folder: folder,
        }
    }

    /// What an expression is now.
    pub async fn query(&self, expression: &str) -> Vec<Sample> {
        self.ask_for(&[("query", expression)]).await
    }

    /// The count that an expression was at a moment, in Unix seconds.
    pub async fn count_at(&self, expression: &str, moment: &str) -> Option<u64> {
        let samples = self
            .ask_for(&[("query", expression), ("time", moment)])
            .await;
        samples.first()?.value.1.parse().ok()
    }

    async fn ask_for(&self, parameters: &[(&str, &str)]) -> Vec<Sample> {
        let mut url = self.api("query");
        url.query_pairs_mut().extend_pairs(parameters);
        ask::<Samples>(url).await.result
    }

    /// What it scrapes.
    pub async fn targets(&self) -> Vec<Target> {
        ask::<Targets>(self.api("targets")).await.active_targets
    }

    /// The rules.
    pub async fn rules(&self) -> Vec<EvaluatedRule> {
        let groups = ask::<Groups>(self.api("rules")).await.groups;
        groups.into_iter().flat_map(|group| group.rules).collect()
    }

    fn api(&self, what: &str) -> Url {
        self.url.join(&format!("api/v1/{what}")).unwrap()
    }
}

async fn ask<T: DeserializeOwned>(url: Url) -> T {
    let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
    let answer: Answer<T> =
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    answer.data
}

fn installed() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(PROGRAM))
        .find(|program| program.is_file())
}

struct Service {
    program: PathBuf,
    folder: PathBuf,
    target: String,
}

impl Service {
    /// Our configuration for this target, at a test's pace.
    fn configuration(&self) -> io::Result<String> {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/prometheus");
        let mut text = fs::read_to_string(ours.join("prometheus.yml"))?;
        let rules = format!(
            "- {}",
            fs::canonicalize(ours)?.join("x402.rules.yml").display()
        );
        let interval = format!("_interval: {SCRAPE_SECONDS}s");
        for (said, meant) in [
            (TARGET, self.target.as_str()),
            (INTERVAL, &interval),
            (RULES, &rules),
        ] {
            assert!(text.contains(said), "prometheus.yml says {said}");
            text = text.replace(said, meant);
        }
        Ok(text)
    }
}

impl server::Service for Service {
    const NAME: &'static str = "Prometheus";
    const READY_WITHIN: Duration = Duration::from_mins(1);

    fn program(&self, port: u16) -> io::Result<Program> {
        let configuration = self.folder.join("prometheus.yml");
        fs::write(&configuration, self.configuration()?)?;
        let flag = |name: &str, value: String| format!("--{name}={value}").into();
        Ok(Program {
            path: self.program.clone(),
            arguments: vec![
                flag("config.file", configuration.display().to_string()),
                flag(
                    "storage.tsdb.path",
                    self.folder.join("data").display().to_string(),
                ),
                flag("web.listen-address", format!("127.0.0.1:{port}")),
                flag("log.level", "warn".to_owned()),
            ],
            environment: Vec::new(),
            at_parents_death: DeathSignal::Kill,
            log: self.folder.join("prometheus.log"),
        })
    }

    async fn answers(&self, port: u16) -> bool {
        let ready = reqwest::get(format!("http://127.0.0.1:{port}/-/ready")).await;
        ready.is_ok_and(|answer| answer.status().is_success())
    }
}
