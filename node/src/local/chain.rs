//! The local chain: anvil as a child, and control over its blocks.
//!
//! With a state file the chain goes on where it stopped: blocks, hashes, logs, receipts, nonces and storage were all seen
//! to be the same after a restart; only calls *at* an older block are not answered any more. The file is written each
//! second, at an orderly stop and when the parent is killed with -9. Killing anvil itself loses the last second, and during
//! a write what came after its start.

use std::{ffi::OsString, io, path::PathBuf, process::ExitStatus, time::Duration};

use alloy::{
    providers::{Provider as _, ProviderBuilder, RootProvider},
    transports::TransportError,
};
use reqwest::Url;
use thiserror::Error;

use super::{
    child::{Child, DeathSignal, Launcher, Program},
    server::{self, Server, Service, StartError},
};

/// The state file, and a copy of its last good form.
mod state;

/// Chain id of every local chain; the network `devnet`.
pub const CHAIN_ID: u64 = 31_337;

/// Longest that an orderly stop may take: it writes the state file, at about 250 MB a second.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// States of past blocks that it keeps in files: for reorgs of any depth above finality, four times over.
const STATES: u32 = 256;

/// How the local chain runs.
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// Folder of its log and of past states; made when missing.
    pub folder: PathBuf,
    /// Its port; any free one when `None`.
    pub port: Option<u16>,
    /// Seconds between blocks; a block per transaction when `None`.
    pub block_seconds: Option<u64>,
    /// File to continue from and to save to; nothing outlives the process when `None`.
    pub state: Option<PathBuf>,
    /// Socket file that it answers at too; at most some 100 characters, which the system sets.
    pub ipc: Option<PathBuf>,
}

/// A running local chain. Dropping it kills it.
#[derive(Debug)]
pub struct Chain {
    /// Its JSON-RPC interface.
    pub url: Url,
    /// From the decision to start it to its first answer.
    pub started_in: Duration,
    rpc: RootProvider,
    child: Child,
}

/// Why there is no local chain.
#[derive(Debug, Error)]
pub enum ChainError {
    /// Its folder could not be made.
    #[error("could not create {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its state file could not be prepared.
    #[error("could not prepare {}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its address is no URL, which a port number cannot cause.
    #[error("could not form the URL of the chain")]
    Url,
}

impl Chain {
    /// Starts it and waits until it answers.
    pub async fn start(
        launcher: &Launcher,
        anvil: PathBuf,
        options: &ChainOptions,
    ) -> Result<Self, ChainError> {
        std::fs::create_dir_all(&options.folder).map_err(|source| ChainError::Folder {
            folder: options.folder.clone(),
            source,
        })?;
        if let Some(path) = &options.state {
            state::recover(path).map_err(|source| ChainError::State {
                path: path.clone(),
                source,
            })?;
        }
        let anvil = Anvil {
            path: anvil,
            options,
        };
        let Server {
            child,
            port,
            started_in,
        } = server::start(launcher, &anvil, options.port).await?;
        let url = url(port)?;
        Ok(Self {
            rpc: connect(url.clone()),
            url,
            started_in,
            child,
        })
    }

    /// A connection to it, with the developer accounts unlocked and nothing filled in.
    pub const fn rpc(&self) -> &RootProvider {
        &self.rpc
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Mines `blocks` blocks at once. Their clock runs a second per block, so it may get ahead of ours.
    ///
    /// Slower the longer the chain: the first 3,000 blocks took 7 s, the third 3,000 took 36 s.
    pub async fn mine(&self, blocks: u64) -> Result<(), TransportError> {
        mine(&self.rpc, blocks).await
    }

    /// Replaces the newest `depth` blocks by empty ones. Their transactions are gone, not pending.
    pub async fn reorg(&self, depth: u64) -> Result<(), TransportError> {
        self.rpc
            .raw_request::<_, ()>("anvil_reorg".into(), (depth, [(); 0]))
            .await
    }

    /// Resolves when it ends by itself, which is always a failure.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.ended().await
    }

    /// Lets it save its state and end.
    pub async fn stop(self) -> io::Result<()> {
        self.child.stop(STOP_WITHIN).await.map(drop)
    }
}

pub(super) async fn mine(rpc: &RootProvider, blocks: u64) -> Result<(), TransportError> {
    rpc.raw_request::<_, ()>("anvil_mine".into(), (blocks,))
        .await
}

fn url(port: u16) -> Result<Url, ChainError> {
    Url::parse(&format!("http://127.0.0.1:{port}")).map_err(|_| ChainError::Url)
}

fn connect(url: Url) -> RootProvider {
    ProviderBuilder::default().connect_http(url)
}

struct Anvil<'a> {
    path: PathBuf,
    options: &'a ChainOptions,
}

impl Service for Anvil<'_> {
    const NAME: &'static str = "anvil";
    const READY_WITHIN: Duration = Duration::from_secs(30);

    fn program(&self, port: u16) -> io::Result<Program> {
        // 32 slots make `safe` the block 32 below the head and `finalized` the one 64 below, as on mainnet.
        let fixed = [
            "--quiet",
            "--host",
            "127.0.0.1",
            "--slots-in-an-epoch",
            "32",
            "--chain-id",
        ];
        let mut arguments: Vec<OsString> = fixed.map(Into::into).into();
        arguments.extend([
            CHAIN_ID.to_string().into(),
            "--port".into(),
            port.to_string().into(),
            // In the home folder they would outlive a node that is killed, and be gigabytes after some hours.
            "--cache-path".into(),
            self.options.folder.join("states").into(),
            "--max-persisted-states".into(),
            STATES.to_string().into(),
        ]);
        if let Some(seconds) = self.options.block_seconds {
            arguments.extend(["--block-time".into(), seconds.to_string().into()]);
        }
        if let Some(state) = &self.options.state {
            arguments.extend([
                "--state".into(),
                state.into(),
                "--state-interval".into(),
                "1".into(),
            ]);
        }
        if let Some(ipc) = &self.options.ipc {
            arguments.extend(["--ipc".into(), ipc.into()]);
        }
        Ok(Program {
            path: self.path.clone(),
            arguments,
            environment: Vec::new(),
            at_parents_death: DeathSignal::Term,
            log: self.options.folder.join("anvil.log"),
        })
    }

    async fn answers(&self, port: u16) -> bool {
        let Ok(url) = url(port) else { return false };
        connect(url)
            .get_chain_id()
            .await
            .is_ok_and(|id| id == CHAIN_ID)
    }
}
