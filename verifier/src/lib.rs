//! The verifier: providers ask whether a proof pays, and are answered from the index of the chain.
//!
//! A request meets the modules in this order. Nothing here writes to the chain, to the index or to
//! the gateway; what it owns is the claims: which transfer was used up by whom.

use std::{path::Path, sync::Arc, time::Duration};

use prometheus::Registry;
use thiserror::Error;
use tokio::sync::watch as channel;
use x402_schemas::{
    api::base_url::{BaseUrl, BaseUrlError},
    index::IndexReader,
    invoice::InvoiceDomain,
};
use x402_service::{
    admin::Readiness,
    api_key::{NoRandomness, random_id},
    lifecycle::Tasks,
    serve::{bind, serve},
};

/// Settings.
pub mod config;

/// HTTP paths to operations, within limits.
mod routes;

/// Bearer key to provider.
mod principal;

/// Provider to what it may ask, and how much is in hand.
mod limits;

/// The gateway's directory: providers, keys, issuer.
mod directory;

/// `POST /verify`: request to answer.
mod verify;

/// Requests to verdicts, many at a time.
mod cases;

/// `POST /verify/batch`: requests to answers.
mod batch;

/// `POST /verify/batch` as lines: requests to answers without end.
mod lines;

/// `GET /revocations`: provider to what a reorg took from it.
mod revocations;

/// Proof text to what it states.
mod statements;

/// The gateway's feed of issued proofs, to their digests.
mod issued;

/// Transfer id to what the index says of it.
mod transfers;

/// Facts and request to verdict; pure.
mod verdict;

/// Transfer to the one claim on it; durable.
mod claims;

/// Reorgs to revocations of claims.
mod watch;

/// What is remembered, within bounds.
mod cache;

/// Questions to the gateway.
mod gateway;

/// Used keys, to the gateway.
mod key_uses;

/// What is in the way, to readiness.
mod obstacles;

/// Waiting for what is away.
mod retry;

/// What happened, to numbers.
pub mod metrics;

/// What tests start from.
#[cfg(test)]
mod samples;

/// A whole verifier for tests.
#[cfg(test)]
mod stand;

pub use claims::OpenError;
pub use config::VerifierConfig;

use claims::Claims;
use directory::{DirectoryView, Follower};
use gateway::Gateway;
use issued::{IssuedFollower, IssuedProofs};
use key_uses::Teller;
use limits::{InHand, Left, LimitError, Terms};
use metrics::{Gauged, VerifierMetrics};
use obstacles::Obstacles;
use principal::Principal;
use statements::Statements;
use tokio::sync::OwnedSemaphorePermit;
use transfers::{LookUp, LookUpTask, Memory, Transfers, tail::Tail};
use verdict::Served;
use watch::Watch;

/// Under what name this verifier follows the gateway, kept with its claims.
const NAME_FILE: &str = "name";

/// A verifier that listens.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// Where.
    pub address: std::net::SocketAddr,
}

/// Why the verifier did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Keys would travel in the clear.
    #[error("gateway-url is not usable")]
    GatewayUrl(#[from] BaseUrlError),
    /// The address is taken or not ours.
    #[error("listen: the address cannot be bound; is another verifier running?")]
    Bind(#[source] std::io::Error),
    /// The claims cannot be kept.
    #[error("data-dir: the claims store cannot be opened")]
    Claims(#[from] OpenError),
    /// This verifier's name cannot be kept.
    #[error("data-dir: the verifier's name cannot be read or written")]
    Name(#[source] std::io::Error),
    /// No name can be made.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// No HTTP client can be made.
    #[error("the client for the gateway could not be made")]
    Client(#[from] reqwest::Error),
    /// Two services registered the same metric.
    #[error("the metrics could not be registered")]
    Metrics(#[from] prometheus::Error),
}

/// What requests need; shared by all of them.
#[derive(Debug)]
pub(crate) struct Verifier {
    directory: Arc<DirectoryView>,
    statements: Statements,
    transfers: Transfers,
    claims: Claims,
    in_hand: InHand,
    metrics: Arc<VerifierMetrics>,
    served: Served,
    /// Of the invoices that are served.
    domain: InvoiceDomain,
}

impl Verifier {
    /// Takes `count` proofs of this provider in hand, until the permit is dropped.
    fn admit(
        &self,
        principal: &Principal,
        count: usize,
    ) -> Result<(Left, OwnedSemaphorePermit), LimitError> {
        let left = principal.provider.lane.take(count);
        left.and_then(|left| Ok((left, self.in_hand.take(count)?)))
            .inspect_err(|error| self.metrics.count_refused(error.counted_as()))
    }
}

/// Starts the verifier's tasks and its listener. Gateway and ClickHouse may come later: until then it
/// answers 503 and says in `readiness` what it waits for. `wake` announces the index's commits when
/// the indexer runs in this process.
pub async fn start(
    config: VerifierConfig,
    registry: &Registry,
    readiness: Readiness,
    wake: Option<channel::Receiver<u64>>,
    tasks: &Tasks,
) -> Result<Started, StartError> {
    let metrics = Arc::new(VerifierMetrics::register(registry)?);
    let obstacles = Obstacles::starting(readiness);
    let (claims, claim_writer) = Claims::open(
        &config.data_dir,
        config.claim_entries,
        metrics.claim_commit_duration_seconds.clone(),
    )
    .await?;
    let name = name(&config.data_dir).await?;
    let gateway = Gateway::new(config.service_token.clone())?;
    let gateway_url = BaseUrl::try_from(config.gateway_url.clone())?;
    let reader = IndexReader::new(config.clickhouse.client(), config.network);
    let memory = Arc::new(Memory::new(config.cache_entries));
    let (look_up, look_up_task) = LookUp::new(Arc::clone(&memory), Arc::clone(&metrics));
    let transfers = Transfers::new(Arc::clone(&memory), look_up, Arc::clone(&metrics));
    let issued = Arc::new(IssuedProofs::new(config.issued_entries));
    let verifier = assemble(&config, transfers, &issued, claims, &metrics);
    let follower = Follower::new(
        Arc::clone(&verifier.directory),
        obstacles.clone(),
        gateway_url.endpoint(&["internal", "directory"]),
        &name,
        gateway.clone(),
    );
    let teller = Teller {
        view: Arc::clone(&verifier.directory),
        gateway: gateway.clone(),
        endpoint: gateway_url.endpoint(&["internal", "key-uses"]),
    };
    let issued_follower = IssuedFollower {
        proofs: Arc::clone(&issued),
        gateway,
        endpoint: gateway_url.endpoint(&["internal", "proofs"]),
    };
    let tail = Tail {
        reader: reader.clone(),
        memory: Arc::clone(&memory),
        watch: Watch::new(verifier.claims.clone(), Arc::clone(&metrics)),
        obstacles: obstacles.clone(),
        poll: Duration::from_millis(config.poll_ms),
        wake,
    };
    let gauged = Gauged {
        memory,
        directory: Arc::clone(&verifier.directory),
        obstacles,
        statements: verifier.statements.clone(),
        issued,
        claims: verifier.claims.clone(),
        in_hand: verifier.in_hand.clone(),
        served: verifier.served,
    };
    let (listener, address) = bind(config.listen).await.map_err(StartError::Bind)?;

    let stop = || tasks.stop_token();
    tasks.spawn("verifier.directory", endless(follower.run(stop())));
    tasks.spawn("verifier.key_uses", endless(teller.run(stop())));
    tasks.spawn("verifier.issued", endless(issued_follower.run(stop())));
    tasks.spawn("verifier.tail", endless(tail.run(stop())));
    let stopped = stop();
    let report = async move { metrics.keep_gauges(gauged, stopped).await };
    tasks.spawn("verifier.metrics", endless(report));
    // These two end when the last request is answered, not before.
    tasks.spawn("verifier.claims", claim_writer.run());
    tasks.spawn("verifier.look_up", look_up_from(reader, look_up_task));
    let routes = routes::router(verifier);
    tasks.spawn("verifier.http", serve(listener, routes, stop()));
    tracing::info!(%address, network = %config.network, name, "the verifier listens");
    Ok(Started { address })
}

/// What requests need, by these settings.
fn assemble(
    config: &VerifierConfig,
    transfers: Transfers,
    issued: &Arc<IssuedProofs>,
    claims: Claims,
    metrics: &Arc<VerifierMetrics>,
) -> Verifier {
    Verifier {
        directory: Arc::new(DirectoryView::new(Terms {
            per_second: config.provider_rate,
            concurrent: config.provider_concurrency,
        })),
        statements: Statements::new(
            config.proof_entries,
            Arc::clone(issued),
            Arc::clone(metrics),
        ),
        transfers,
        claims,
        in_hand: InHand::new(config.max_in_hand),
        metrics: Arc::clone(metrics),
        served: Served {
            network: config.network,
            token: config.token,
            block_time_ms: config.block_time_ms,
            max_age_seconds: config.max_index_age(),
        },
        domain: InvoiceDomain::new(config.network, config.token),
    }
}

async fn look_up_from(
    reader: IndexReader,
    task: LookUpTask,
) -> Result<(), std::convert::Infallible> {
    task.run(move |ids| {
        let reader = reader.clone();
        async move { reader.find(&ids).await }
    })
    .await;
    Ok(())
}

/// A task that has no way to fail.
async fn endless(task: impl Future<Output = ()>) -> Result<(), std::convert::Infallible> {
    task.await;
    Ok(())
}

/// The name that this verifier has had since its first start.
async fn name(folder: &Path) -> Result<String, StartError> {
    let path = folder.join(NAME_FILE);
    match tokio::fs::read_to_string(&path).await {
        Ok(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
        Ok(_) => new_name(&path).await,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => new_name(&path).await,
        Err(error) => Err(StartError::Name(error)),
    }
}

async fn new_name(path: &Path) -> Result<String, StartError> {
    let name = random_id("verifier")?;
    tokio::fs::write(path, &name)
        .await
        .map_err(StartError::Name)?;
    Ok(name)
}
