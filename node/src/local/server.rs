//! What the chain node and ClickHouse share: start on a port, wait until ready, explain a failure.
//!
//! A server is ready when it answers *and* our child owns the port. One that found its port taken is started again
//! on another; any other early end is reported with the last lines of its log.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{
    child::{Child, Launcher, Program},
    port,
};

/// Ports tried before giving up; each failure means that somebody took the port within milliseconds.
const PORTS_TRIED: usize = 5;
/// Time between two questions whether a server is ready.
const POLL: Duration = Duration::from_millis(20);
/// How much of a log is looked at to explain an early end.
const LOG_TAIL_BYTES: u64 = 16 * 1024;
/// How many lines of it are shown.
const LOG_TAIL_LINES: usize = 8;
/// What both servers write when their port is taken.
const PORT_TAKEN: &str = "Address already in use";

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub child: Child,
    /// Its loopback port.
    pub port: u16,
    /// From the decision to start it to its first answer.
    pub started_in: Duration,
}

/// Why a server is not running.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its process could not be started or watched.
    #[error("could not start {name}")]
    Process {
        /// Which server.
        name: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The port is somebody else's.
    #[error("{name} cannot listen on 127.0.0.1:{port}: the port is in use")]
    PortTaken {
        /// Which server.
        name: &'static str,
        /// The port it was to have.
        port: u16,
    },
    /// It ended before it was ready.
    #[error("{name} ended at start ({status}); its log {} ends with:{tail}", log.display())]
    Ended {
        /// Which server.
        name: &'static str,
        /// How.
        status: ExitStatus,
        /// Where it wrote.
        log: PathBuf,
        /// The last lines of that.
        tail: String,
    },
    /// It runs but does not answer.
    #[error("{name} did not answer within {} s; see its log {}", deadline.as_secs(), log.display())]
    TooSlow {
        /// Which server.
        name: &'static str,
        /// How long it was given.
        deadline: Duration,
        /// Where it wrote.
        log: PathBuf,
    },
}

/// What differs between the servers.
pub trait Service: Sync {
    /// What it is called in errors.
    const NAME: &'static str;
    /// How long a start may take.
    const READY_WITHIN: Duration;

    /// What to run for a port.
    fn program(&self, port: u16) -> io::Result<Program>;

    /// Whether the server on that port does its work yet.
    fn answers(&self, port: u16) -> impl Future<Output = bool> + Send;
}

/// Starts a service on the given port or on any free one, and waits until it answers.
pub async fn start<S: Service>(
    launcher: &Launcher,
    service: &S,
    wanted_port: Option<u16>,
) -> Result<Server, StartError> {
    let begin = Instant::now();
    let process = |source| StartError::Process {
        name: S::NAME,
        source,
    };
    let mut taken = process(io::Error::other("no port was tried"));
    for _ in 0..PORTS_TRIED {
        let port = wanted_port.map_or_else(port::free, Ok).map_err(process)?;
        let program = service.program(port).map_err(process)?;
        let mut child = launcher.start(program).await.map_err(process)?;
        match until_ready(service, &mut child, port).await {
            Ok(()) => {
                return Ok(Server {
                    child,
                    port,
                    started_in: begin.elapsed(),
                });
            }
            Err(error @ StartError::PortTaken { .. }) if wanted_port.is_none() => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}

async fn until_ready<S: Service>(
    service: &S,
    child: &mut Child,
    port: u16,
) -> Result<(), StartError> {
    let (name, deadline) = (S::NAME, S::READY_WITHIN);
    let log = child.program().log.clone();
    let id = child.id();
    let ready = async {
        // Asking costs the server something, so it is asked only once its port is open.
        while !(port::is_owned_by(id, port).unwrap_or(false) && service.answers(port).await) {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        () = ready => Ok(()),
        status = child.ended() => {
            let status = status.map_err(|source| StartError::Process { name, source })?;
            let written = end_of(&log).unwrap_or_default();
            if written.contains(PORT_TAKEN) {
                return Err(StartError::PortTaken { name, port });
            }
            let tail = last_lines(&written);
            Err(StartError::Ended { name, status, log, tail })
        }
        () = tokio::time::sleep(deadline) => Err(StartError::TooSlow { name, deadline, log: log.clone() }),
    }
}

/// The last bytes of a log.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a text, each on a line of its own.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let first = lines.len().saturating_sub(LOG_TAIL_LINES);
    lines
        .iter()
        .skip(first)
        .map(|line| format!("\n    {line}"))
        .collect::<Vec<_>>()
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_end_is_explained_by_the_last_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let lines: Vec<String> = (0..2_000).map(|line| format!("line {line}")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let tail = last_lines(&end_of(&path).unwrap());
        assert_eq!(tail.lines().count(), LOG_TAIL_LINES + 1);
        assert!(tail.ends_with("line 1999"));
    }
}
