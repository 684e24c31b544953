//! Start-up: every check first, then the tasks. A gateway that cannot keep its promises does not serve.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clickhouse::Row;
use jiff::SignedDuration;
use prometheus::Registry;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::TaskTracker;
use x402_schemas::{amount, index::IndexReader, network::Network};
use x402_service::{admin::Readiness, clock, lifecycle::Tasks, serve};

use crate::{
    chain::{Chain, ChainError, token},
    cipher::Cipher,
    config::GatewayConfig,
    directory::{FULL_LEASE, Followers},
    events::{export::Exporter, news, stream::Streams},
    funds,
    gateway::{Gateway, MAX_SENDING},
    idempotency,
    key_uses::KeyUses,
    ledger::{Ledger, LedgerError, directory, identity, workspaces},
    limits::{Limits, Terms},
    metrics::GatewayMetrics,
    pay::resume::{self, Resumed},
    proofs::{Proofs, ProofsError},
    prune, reconcile, routes,
    seed::{Seed, SeedError},
    sessions::Sessions,
    settle::{Follower, recover},
    spend::{Recorder, treasuries},
    traces::Traces,
    verify::Verifier,
    webhooks::{self, address::Reach, deliver::Deliverer, send::Sender},
};

/// Shorter secrets than this are guessed.
const MIN_SECRET: usize = 16;
const LOCK_FILE: &str = "gateway.lock";
const WEI_PER_GWEI: u128 = 1_000_000_000;

/// A gateway that is serving.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// The chain it pays on.
    pub network: Network,
}

/// Why the gateway does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A secret is too short to be one.
    #[error("{0} has to have at least {MIN_SECRET} characters")]
    WeakSecret(&'static str),
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two gateways on one ledger would sign with the same nonces.
    #[error("another gateway uses the data folder {}", path.display())]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The ledger.
    #[error("the ledger does not open")]
    Ledger(#[from] LedgerError),
    /// The master seed.
    #[error("the master seed does not open")]
    Seed(#[from] SeedError),
    /// The chain.
    #[error("the chain cannot be asked; is --rpc-url right?")]
    Chain(#[from] ChainError),
    /// The token has other decimals: every amount would be wrong.
    #[error("the token has {0} decimals, not 18; is --token MNEE?")]
    Decimals(u8),
    /// The index.
    #[error("the index cannot be read; is --clickhouse-url right?")]
    Index(#[from] clickhouse::error::Error),
    /// The index is of another chain: no payment would ever settle.
    #[error("the index is of {indexed}, the chain is {chain}")]
    IndexNetwork {
        /// What the index holds.
        indexed: Network,
        /// What the endpoint is.
        chain: Network,
    },
    /// The proof keys.
    #[error("the proof keys cannot be used")]
    Proofs(#[from] ProofsError),
    /// The client that hands `/verify` on, or that reaches webhooks.
    #[error("no HTTP client can be made")]
    Http(#[from] reqwest::Error),
    /// A metric is registered twice.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// The listener.
    #[error("the listener has no address")]
    Listener(#[source] io::Error),
}

/// Checks everything, then serves on `listener` and follows the index until `tasks` stop. `wake`
/// carries the index's newest commit when the indexer runs in the same process.
pub async fn start(
    config: GatewayConfig,
    listener: TcpListener,
    registry: &Registry,
    readiness: Readiness,
    wake: Option<watch::Receiver<u64>>,
    tasks: &Tasks,
) -> Result<Started, StartError> {
    let address = listener.local_addr().map_err(StartError::Listener)?;
    for (name, secret) in [
        ("X402_OPERATOR_TOKEN", &config.operator_token),
        ("X402_SERVICE_TOKEN", &config.service_token),
        ("X402_GATEWAY_PASSPHRASE", &config.passphrase),
    ] {
        long_enough(name, secret)?;
    }
    let lock = lock_folder(&config.data_dir)?;
    let (chain, network) = open_chain(&config).await?;
    let index = open_index(&config, network).await?;
    let (ledger, seed) = open_ledger(&config, network).await?;
    let gateway = assemble(&config, lock, chain, network, ledger, seed, registry, tasks).await?;
    let resumed = resume::resume(&gateway).await?;
    if resumed != Resumed::default() {
        let Resumed { driven_on, ended } = resumed;
        tracing::info!(
            driven_on,
            ended,
            "payments that were reserved before the start"
        );
    }

    let router = routes::routes(&gateway);
    let stop = tasks.stop_token();
    let serving = Arc::clone(&gateway);
    let connections = usize::try_from(config.max_connections).unwrap_or(usize::MAX);
    tasks.spawn("gateway http", async move {
        let served = serve::serve_at_most(connections, listener, router, stop).await;
        serving.key_uses.write(&serving.ledger).await;
        served
    });
    let writing = Arc::clone(&gateway);
    tasks.spawn("gateway key uses", async move {
        writing.write_key_uses().await;
        Ok::<(), std::convert::Infallible>(())
    });
    let (settled_to, tip) = watch::channel(None);
    let follower = Follower {
        gateway: Arc::clone(&gateway),
        index,
        readiness,
        wake,
        poll: Duration::from_millis(config.poll_ms),
        settled_to,
        stop: tasks.stop_token(),
    };
    tasks.spawn("gateway settle", follower.run());
    let close_every = Duration::from_secs(config.close_seconds.into());
    let recorder = Recorder::new(
        Arc::clone(&gateway),
        config.clickhouse.client(),
        tip.clone(),
        close_every,
    );
    tasks.spawn("gateway spend", recorder.run());
    let client = config.clickhouse.client();
    let watch = treasuries::Watch::new(Arc::clone(&gateway), client, close_every);
    tasks.spawn("gateway treasuries", watch.run());
    let exporter = Exporter::new(Arc::clone(&gateway), config.clickhouse.client());
    tasks.spawn("gateway export", exporter.run());
    tasks.spawn("gateway events", news::watch(Arc::clone(&gateway)));
    let deliverer = Deliverer::new(Arc::clone(&gateway));
    tasks.spawn("gateway webhooks", deliverer.run());
    tasks.spawn("gateway recover", recover::run(Arc::clone(&gateway), tip));
    tasks.spawn("gateway prune", prune::run(Arc::clone(&gateway)));
    tasks.spawn("gateway funds", funds::watch(Arc::clone(&gateway)));
    let reconciling = reconcile::watch(Arc::clone(&gateway), config.clickhouse.client());
    tasks.spawn("gateway reconciliation", reconciling);
    let stop = tasks.stop_token();
    tasks.spawn("gateway payments", async move {
        // What is being sent when the stop comes is recorded before the process ends.
        stop.cancelled().await;
        gateway.sending.close();
        gateway.sending.wait().await;
        Ok::<(), std::convert::Infallible>(())
    });
    Ok(Started { address, network })
}

fn long_enough(name: &'static str, secret: &SecretString) -> Result<(), StartError> {
    if secret.expose_secret().chars().count() < MIN_SECRET {
        return Err(StartError::WeakSecret(name));
    }
    Ok(())
}

/// Makes the folder for its owner alone and takes it for this process.
fn lock_folder(path: &Path) -> Result<fs::File, StartError> {
    use std::os::unix::fs::DirBuilderExt;

    let folder = |source| StartError::Folder {
        path: path.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(folder)?;
    let lock = fs::File::create(path.join(LOCK_FILE)).map_err(folder)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StartError::Locked {
            path: path.to_owned(),
        }),
        Err(fs::TryLockError::Error(source)) => Err(folder(source)),
    }
}

async fn open_chain(config: &GatewayConfig) -> Result<(Chain, Network), StartError> {
    let max_fee_wei = u128::from(config.max_fee_gwei).saturating_mul(WEI_PER_GWEI);
    let chain = Chain::connect(config.rpc_url.clone(), config.token, max_fee_wei);
    let network = Network::from_chain_id(chain.chain_id().await?);
    let at = chain.latest().await?;
    let decimals = chain.view(token::decimalsCall {}, at).await?;
    if decimals != amount::DECIMALS {
        return Err(StartError::Decimals(decimals));
    }
    Ok((chain, network))
}

#[derive(Row, Deserialize)]
struct ChainIdRow {
    chain_id: u64,
}

async fn open_index(config: &GatewayConfig, network: Network) -> Result<IndexReader, StartError> {
    let client = config.clickhouse.client();
    let query = "SELECT DISTINCT chain_id FROM commits ORDER BY chain_id";
    let indexed: Vec<ChainIdRow> = match client.query(query).fetch_all().await {
        Ok(rows) => rows,
        // The indexer has not been here yet; it makes the tables.
        Err(clickhouse::error::Error::BadResponse(text))
            if text.contains("UNKNOWN_TABLE") || text.contains("UNKNOWN_DATABASE") =>
        {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let ours = indexed.iter().any(|row| row.chain_id == network.chain_id());
    match indexed.first() {
        Some(row) if !ours => Err(StartError::IndexNetwork {
            indexed: Network::from_chain_id(row.chain_id),
            chain: network,
        }),
        Some(_) | None => Ok(IndexReader::new(client, network)),
    }
}

async fn open_ledger(
    config: &GatewayConfig,
    network: Network,
) -> Result<(Ledger, Seed), StartError> {
    let ledger = Ledger::open(&config.data_dir).await?;
    let mut change = ledger.write().await?;
    let may_create = !workspaces::any(&mut change).await?;
    let seed = Seed::open(&config.data_dir, &config.passphrase, may_create)?;
    let token = config.token.to_checksum(None);
    let fingerprint = seed.fingerprint()?.to_string();
    identity::agree(&mut change, "network", &network.caip2()).await?;
    identity::agree(&mut change, "token", &token).await?;
    identity::agree(&mut change, "master seed", &fingerprint).await?;
    change.commit().await.map_err(LedgerError::from)?;
    Ok((ledger, seed))
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is checked by a step of its own before"
)]
async fn assemble(
    config: &GatewayConfig,
    lock: fs::File,
    chain: Chain,
    network: Network,
    ledger: Ledger,
    seed: Seed,
    registry: &Registry,
    tasks: &Tasks,
) -> Result<Arc<Gateway>, StartError> {
    let metrics = GatewayMetrics::register(registry)?;
    let proofs = Proofs::open(&ledger, &seed, clock::now()).await?;
    let followers = Followers::load(&ledger, FULL_LEASE).await?;
    let (seq, ledger_id) = {
        let mut conn = ledger.read().await?;
        let seq = directory::seq(&mut conn).await?;
        (seq, identity::ledger_id(&mut conn).await?)
    };
    metrics.directory_is_at(seq);
    // Beside a local chain a webhook may lead to this machine; anywhere else that would be a way in.
    let local = network == Network::DEVNET && config.listen.ip().is_loopback();
    let reach = if local {
        Reach::LoopbackToo
    } else {
        Reach::Public
    };
    Ok(Arc::new(Gateway {
        network,
        ledger_id,
        key_pepper: seed.key_pepper()?,
        provider_key_pepper: seed.provider_key_pepper()?,
        limits: Limits::of(Terms {
            per_minute: config.key_rate_per_minute,
            concurrent: usize::try_from(config.key_concurrency).unwrap_or(usize::MAX),
        }),
        sessions: Sessions::of(&seed, &config.issuer())?,
        key_uses: KeyUses::default(),
        answers: Cipher::of(&seed, idempotency::ANSWERS)?,
        webhook_secrets: Cipher::of(&seed, webhooks::SECRETS)?,
        operator_token: config.operator_token.clone(),
        service_token: config.service_token.clone(),
        issuer: config.issuer(),
        quote_ttl: SignedDuration::from_secs(i64::from(config.quote_ttl_seconds)),
        approval_ttl: SignedDuration::from_mins(i64::from(config.approval_ttl_minutes)),
        stuck_after: SignedDuration::from_secs(i64::from(config.stuck_seconds)),
        proofs,
        followers,
        funds: funds::Funds::default(),
        lanes: crate::pay::lane::Lanes::default(),
        waiters: crate::pay::wait::Waiters::default(),
        traces: Traces::default(),
        news: news::News::default(),
        streams: Streams::default(),
        webhooks: Sender::new(reach)?,
        sending: TaskTracker::new(),
        sending_slots: Arc::new(tokio::sync::Semaphore::new(MAX_SENDING)),
        verifier: config.verifier_url.clone().map(Verifier::at).transpose()?,
        metrics,
        stop: tasks.stop_token(),
        lock: Some(lock),
        ledger,
        chain,
        seed,
    }))
}
