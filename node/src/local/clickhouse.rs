//! The local ClickHouse: the ordinary HTTP interface on a loopback port, tables in one folder.
//!
//! A `clickhouse` program runs as the server that it is; the embedded library runs inside our own binary. Both survive
//! being killed with their tables intact. Its user is `default` with no password, so it listens on loopback only; further
//! users are read from `users.d` in its folder.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Url;
use thiserror::Error;

use super::{
    child::{Child, DeathSignal, Launcher, Program},
    install::ClickHouseTool,
    server::{self, Server, StartError},
};

/// Longest that an orderly stop may take: it finishes merges in hand.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Longest that one readiness question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Where the local ClickHouse keeps things.
#[derive(Clone, Debug)]
pub struct ClickHouseOptions {
    /// Folder of its tables, configuration and log; made when missing.
    pub folder: PathBuf,
    /// Its HTTP port; any free one when `None`.
    pub http_port: Option<u16>,
}

/// A running ClickHouse. Dropping it kills it.
#[derive(Debug)]
pub struct ClickHouse {
    /// Its HTTP interface.
    pub url: Url,
    /// From the decision to start it to its first answer.
    pub started_in: Duration,
    child: Child,
}

/// Why there is no local ClickHouse.
#[derive(Debug, Error)]
pub enum ClickHouseError {
    /// Its folder could not be prepared.
    #[error("could not prepare {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The HTTP client or the URL could not be made.
    #[error("could not ask ClickHouse whether it is ready")]
    Http(#[source] reqwest::Error),
    /// Its address is no URL, which a port number cannot cause.
    #[error("could not form the URL of ClickHouse")]
    Url,
}

impl ClickHouse {
    /// Starts it and waits until it answers.
    pub async fn start(
        launcher: &Launcher,
        tool: &ClickHouseTool,
        options: &ClickHouseOptions,
    ) -> Result<Self, ClickHouseError> {
        let folder = absolute(&options.folder).map_err(|source| ClickHouseError::Folder {
            folder: options.folder.clone(),
            source,
        })?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .build();
        let client = client.map_err(ClickHouseError::Http)?;
        let service = Service {
            tool,
            exe: launcher.exe(),
            folder,
            client,
        };
        let Server {
            child,
            port,
            started_in,
        } = server::start(launcher, &service, options.http_port).await?;
        let url =
            Url::parse(&format!("http://127.0.0.1:{port}")).map_err(|_| ClickHouseError::Url)?;
        Ok(Self {
            url,
            started_in,
            child,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resolves when it ends by itself, which is always a failure.
    pub async fn ended(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.ended().await
    }

    /// Lets it close its tables and end.
    pub async fn stop(self) -> io::Result<()> {
        self.child.stop(STOP_WITHIN).await.map(drop)
    }
}

/// Makes the folder; the server's working directory is not ours to assume, so the path becomes absolute.
fn absolute(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder.join("data"))?;
    fs::canonicalize(folder)
}

struct Service<'a> {
    tool: &'a ClickHouseTool,
    exe: &'a Path,
    folder: PathBuf,
    client: reqwest::Client,
}

impl server::Service for Service<'_> {
    const NAME: &'static str = "ClickHouse";
    // A cold start reads half a gigabyte of library from disk first.
    const READY_WITHIN: Duration = Duration::from_mins(1);

    fn program(&self, port: u16) -> io::Result<Program> {
        fs::write(self.folder.join("users.xml"), USERS)?;
        let configuration = self.folder.join("server.xml");
        fs::write(&configuration, server_configuration(&self.folder, port))?;
        let (path, arguments) = match self.tool {
            ClickHouseTool::Program(path) => (
                path.clone(),
                vec![
                    "server".into(),
                    "--config-file".into(),
                    configuration.into(),
                ],
            ),
            ClickHouseTool::Library(library) => (
                self.exe.to_owned(),
                embedded_arguments(library, &self.folder, port),
            ),
        };
        Ok(Program {
            path,
            arguments,
            environment: vec![
                // Without this the full server forks, and the fork would not be tied to us.
                ("CLICKHOUSE_WATCHDOG_ENABLE", "0".into()),
                // A backtrace of ours would push ClickHouse's own words out of the shown end of the log.
                ("RUST_BACKTRACE", "0".into()),
            ],
            at_parents_death: DeathSignal::Kill,
            log: self.folder.join("clickhouse.log"),
        })
    }

    async fn answers(&self, port: u16) -> bool {
        let ping = self
            .client
            .get(format!("http://127.0.0.1:{port}/ping"))
            .send()
            .await;
        ping.is_ok_and(|reply| reply.status().is_success())
    }
}

fn embedded_arguments(library: &Path, folder: &Path, port: u16) -> Vec<OsString> {
    vec![
        "local-clickhouse".into(),
        "--lib".into(),
        library.into(),
        "--path".into(),
        folder.join("data").into(),
        "--http-port".into(),
        port.to_string().into(),
        "--config".into(),
        folder.join("server.xml").into(),
    ]
}

/// The one user that is always there; the two sections without anything in them are what it refers to.
const USERS: &str = "<clickhouse>
  <users><default>
    <password></password><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota><access_management>1</access_management>
  </default></users>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
</clickhouse>
";

/// The whole configuration of a server that speaks HTTP and nothing else, so that no fixed port is ever in the way.
fn server_configuration(folder: &Path, port: u16) -> String {
    let folder = folder
        .to_string_lossy()
        .replace('&', "&amp;")
        .replace('<', "&lt;");
    format!(
        "<clickhouse>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>
  <path>{folder}/data/</path>
  <users_config>{folder}/users.xml</users_config>
</clickhouse>
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_markup_in_its_name_does_not_break_the_configuration() {
        let text = server_configuration(Path::new("/a&b<c"), 8123);
        assert!(text.contains("<path>/a&amp;b&lt;c/data/</path>"));
        assert!(text.contains("<http_port>8123</http_port>"));
    }
}
