//! The chain node and the ClickHouse that a test run shares.
//!
//! Both belong to one runtime that lives as long as the process, as connections do not survive the
//! runtime that made them. They die with the process, however it ends.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::LazyLock,
};

use indicatif::{MultiProgress, ProgressDrawTarget};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::OnceCell};
use x402::local::{
    chain::{Chain, ChainOptions},
    child::Launcher,
    clickhouse::{ClickHouse, ClickHouseOptions},
    install::{self, Tools},
};

/// Of the folders of test runs; the process's id follows.
const FOLDER_PREFIX: &str = "x402-tests-";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
});

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// What a test run shares.
#[derive(Debug)]
pub struct Shared {
    /// Starts children.
    pub launcher: Launcher,
    /// Programs.
    pub tools: Tools,
    /// The chain that nobody reorganises.
    pub chain: Chain,
    /// ClickHouse; a database for each test.
    pub clickhouse: ClickHouse,
    folder: TempDir,
}

/// Runs a test on the shared runtime.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    RUNTIME.block_on(test)
}

/// The shared servers, started on first use. `exe` is the binary under test.
pub async fn shared(exe: &str) -> &'static Shared {
    SHARED.get_or_init(|| Shared::start(exe)).await
}

impl Shared {
    async fn start(exe: &str) -> Self {
        let folder = own_folder().expect("a temporary folder can be made");
        let launcher = Launcher::new(PathBuf::from(exe)).expect("children can be started");
        let tools = tools().await;
        let options = ChainOptions {
            folder: folder.path().join("chain"),
            port: None,
            block_seconds: None,
            state: None,
            ipc: None,
        };
        let chain = Chain::start(&launcher, tools.anvil.clone(), &options).await;
        let options = ClickHouseOptions {
            folder: folder.path().join("clickhouse"),
            http_port: None,
        };
        let clickhouse = ClickHouse::start(&launcher, &tools.clickhouse, &options).await;
        Self {
            launcher,
            tools,
            chain: chain.expect("the chain node starts"),
            clickhouse: clickhouse.expect("ClickHouse starts"),
            folder,
        }
    }

    /// Where the chain of a test's own answers besides its port.
    pub fn socket_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).join("node.ipc")
    }

    /// A chain of a test's own, for reorganising it.
    pub async fn own_chain(&self, name: &str) -> Chain {
        let options = ChainOptions {
            folder: self.folder.path().join(name),
            port: None,
            block_seconds: None,
            state: None,
            ipc: Some(self.socket_file(name)),
        };
        Chain::start(&self.launcher, self.tools.anvil.clone(), &options)
            .await
            .expect("a chain node starts")
    }
}

/// A folder for this process. What a static holds is never dropped, so it takes away those of processes that are gone.
fn own_folder() -> io::Result<TempDir> {
    for entry in fs::read_dir(env::temp_dir())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix(FOLDER_PREFIX)
            .and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Somebody else may be taking it away as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let prefix = format!("{FOLDER_PREFIX}{}-", process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir()
}

/// The tools, installed on first use into the folder that the demo uses too.
pub async fn tools() -> Tools {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.x402/tools");
    let progress = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    install::ensure(&folder, std::env::var_os("PATH").as_deref(), &progress)
        .await
        .expect("the local stack's tools can be installed")
}
