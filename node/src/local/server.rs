//! What the chain node and ClickHouse share: start on a port, wait until ready, explain a failure.
//!
//! A server is ready when it answers *and* our child owns the port. One that found its port taken is started again
//! on another; any other early end is reported with the last lines of its log.

use std::{
    fmt::Write as _,
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
const LOG_TAIL_BYTES: u64 = 4096;
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

/// Starts the program that `program` describes for a port, and waits until `answers` says yes for that port.
pub async fn start(
    launcher: &Launcher,
    name: &'static str,
    wanted_port: Option<u16>,
    deadline: Duration,
    program: impl Fn(u16) -> io::Result<Program>,
    answers: impl AsyncFn(u16) -> bool,
) -> Result<Server, StartError> {
    let begin = Instant::now();
    let process = |source| StartError::Process { name, source };
    let mut taken = StartError::Process {
        name,
        source: io::Error::other("no port was tried"),
    };
    for _ in 0..PORTS_TRIED {
        let port = wanted_port.map_or_else(port::free, Ok).map_err(process)?;
        let mut child = launcher
            .start(program(port).map_err(process)?)
            .await
            .map_err(process)?;
        match until_ready(&mut child, port, deadline, &answers).await {
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

async fn until_ready(
    child: &mut Child,
    port: u16,
    deadline: Duration,
    answers: &impl AsyncFn(u16) -> bool,
) -> Result<(), StartError> {
    let name = child.program().name;
    let log = child.program().log.clone();
    let id = child.id();
    let ready = async {
        // Asking costs the server something, so it is asked only once its port is open.
        while !(port::is_owned_by(id, port).unwrap_or(false) && answers(port).await) {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        () = ready => Ok(()),
        status = child.ended() => {
            let status = status.map_err(|source| StartError::Process { name, source })?;
            let tail = log_tail(&log).unwrap_or_default();
            if tail.contains(PORT_TAKEN) {
                return Err(StartError::PortTaken { name, port });
            }
            Err(StartError::Ended { name, status, log, tail })
        }
        () = tokio::time::sleep(deadline) => Err(StartError::TooSlow { name, deadline, log: log.clone() }),
    }
}

/// The last lines of a log, each on a line of its own.
fn log_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let mut tail = String::new();
    for line in lines
        .iter()
        .skip(lines.len().saturating_sub(LOG_TAIL_LINES))
    {
        // Writing to a string cannot fail.
        let _ = write!(tail, "\n    {line}");
    }
    Ok(tail)
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
        let tail = log_tail(&path).unwrap();
        assert_eq!(tail.lines().count(), LOG_TAIL_LINES + 1);
        assert!(tail.ends_with("line 1999"));
    }
}
