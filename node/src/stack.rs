//! The three services in one process: what `x402 node`, the demo and the end-to-end tests run.
//!
//! Each service gets its configuration as it would alone (flags, environment, file, defaults) and
//! meets the others only over HTTP and ClickHouse. Being in one process, the indexer can wake the
//! other two, which saves their polling delay and nothing else.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use alloy::primitives::Address;
use anyhow::Context;
use prometheus::Registry;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use x402_indexer::Indexer;
use x402_schemas::network::Network;
use x402_service::{
    admin::{self, Readiness},
    api_key,
    lifecycle::Tasks,
    serve,
};

use crate::{local::port, settings::of_service};

/// What the services share and where they listen. Port 0 takes a free one.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// The chain's endpoints, in order of preference.
    pub rpc_urls: Vec<Url>,
    /// ClickHouse's HTTP interface.
    pub clickhouse_url: Url,
    /// The database of the index.
    pub database: String,
    /// The token; MNEE's mainnet address when absent.
    pub token: Option<Address>,
    /// Folder of the gateway's ledger and the verifier's claims.
    pub data_dir: PathBuf,
    /// Protects the gateway's master seed.
    pub passphrase: SecretString,
    /// May create workspaces.
    pub operator_token: SecretString,
    /// Where the gateway listens.
    pub gateway_listen: SocketAddr,
    /// Where the verifier listens.
    pub verifier_listen: SocketAddr,
    /// Where health, readiness and metrics are.
    pub admin_listen: SocketAddr,
    /// Further flags of single services.
    pub flags: Vec<ServiceFlag>,
}

/// A flag of one service: which service, the flag's long name, its value.
pub type ServiceFlag = (&'static str, &'static str, String);

/// The services, running.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    /// The gateway's address.
    pub gateway: SocketAddr,
    /// The verifier's address.
    pub verifier: SocketAddr,
    /// Health, readiness and metrics.
    pub admin: SocketAddr,
    /// The network that the chain said it is.
    pub network: Network,
}

impl Stack {
    /// Starts all three and returns when each has made its start-up checks. `tree` is the command tree
    /// with the configuration file's values.
    pub async fn start(
        tree: &clap::Command,
        options: &StackOptions,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let (gateway_listener, gateway_listen) = serve::bind(options.gateway_listen)
            .await
            .with_context(|| format!("cannot listen on {}", options.gateway_listen))?;
        let verifier_listen = fixed(options.verifier_listen)?;
        let service_token = SecretString::from(api_key::random_id("service")?);
        let registry = Registry::new();
        let (wake, woken) = watch::channel(0);

        let flags = Flags {
            options,
            gateway_listen,
            verifier_listen,
            service_token: &service_token,
        };
        let starting = || Readiness::starting("starting");
        let (indexer_ready, gateway_ready, verifier_ready) = (starting(), starting(), starting());

        let config = of_service(tree, "indexer", &flags.indexer())?;
        let indexer = Indexer::start(&config, &registry, indexer_ready.clone(), wake, tasks);
        // The largest of the futures held here.
        let indexer = Box::pin(indexer)
            .await
            .context("the indexer did not start")?;
        let network = indexer.network();
        let config = of_service(tree, "gateway", &flags.gateway())?;
        let gateway = x402_gateway::start(
            config,
            gateway_listener,
            &registry,
            gateway_ready.clone(),
            Some(woken.clone()),
            tasks,
        )
        .await
        .context("the gateway did not start")?;
        let config = of_service(tree, "verifier", &flags.verifier(network))?;
        let verifier = x402_verifier::start(
            config,
            &registry,
            verifier_ready.clone(),
            Some(woken),
            tasks,
        )
        .await
        .context("the verifier did not start")?;

        let services = vec![
            ("indexer", indexer_ready),
            ("gateway", gateway_ready),
            ("verifier", verifier_ready),
        ];
        let admin = start_admin(options.admin_listen, registry, services, tasks).await?;
        Ok(Self {
            gateway: gateway.address,
            verifier: verifier.address,
            admin,
            network,
        })
    }
}

/// Serves health, readiness and metrics.
pub(crate) async fn start_admin(
    listen: SocketAddr,
    registry: Registry,
    services: Vec<(&'static str, Readiness)>,
    tasks: &Tasks,
) -> anyhow::Result<SocketAddr> {
    let (listener, address) = serve::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen} (--admin-listen)"))?;
    let routes = admin::routes(registry, services).context("the process has no metrics")?;
    tasks.spawn("admin", serve::serve(listener, routes, tasks.stop_token()));
    Ok(address)
}

/// Flags of each service, from what they share.
struct Flags<'a> {
    options: &'a StackOptions,
    gateway_listen: SocketAddr,
    verifier_listen: SocketAddr,
    service_token: &'a SecretString,
}

type FlagValues = Vec<(&'static str, String)>;

impl Flags<'_> {
    fn indexer(&self) -> FlagValues {
        let mut flags = self.common("indexer");
        flags.push(("rpc-url", self.rpc_urls()));
        flags
    }

    fn gateway(&self) -> FlagValues {
        let mut flags = self.common("gateway");
        flags.extend([
            ("rpc-url", self.rpc_urls()),
            ("listen", self.gateway_listen.to_string()),
            ("verifier-url", url_of(self.verifier_listen)),
            (
                "data-dir",
                self.options.data_dir.join("gateway").display().to_string(),
            ),
            (
                "passphrase",
                self.options.passphrase.expose_secret().to_owned(),
            ),
            (
                "operator-token",
                self.options.operator_token.expose_secret().to_owned(),
            ),
            (
                "service-token",
                self.service_token.expose_secret().to_owned(),
            ),
        ]);
        flags
    }

    fn verifier(&self, network: Network) -> FlagValues {
        let mut flags = self.common("verifier");
        flags.extend([
            ("network", network.caip2()),
            ("listen", self.verifier_listen.to_string()),
            ("gateway-url", url_of(self.gateway_listen)),
            (
                "data-dir",
                self.options.data_dir.join("verifier").display().to_string(),
            ),
            (
                "service-token",
                self.service_token.expose_secret().to_owned(),
            ),
        ]);
        flags
    }

    fn rpc_urls(&self) -> String {
        let urls: Vec<&str> = self.options.rpc_urls.iter().map(Url::as_str).collect();
        urls.join(",")
    }

    fn common(&self, service: &str) -> FlagValues {
        let mut flags = vec![
            ("clickhouse-url", self.options.clickhouse_url.to_string()),
            ("clickhouse-database", self.options.database.clone()),
        ];
        flags.extend(
            self.options
                .token
                .map(|token| ("token", token.to_checksum(None))),
        );
        let own = self
            .options
            .flags
            .iter()
            .filter(|(of, _, _)| *of == service);
        flags.extend(own.map(|(_, flag, value)| (*flag, value.clone())));
        flags
    }
}

/// The services must know each other's ports before they listen.
fn fixed(mut listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    if listen.port() == 0 {
        listen.set_port(port::free()?);
    }
    Ok(listen)
}

/// How a service in this process reaches a listener.
pub(crate) fn url_of(listen: SocketAddr) -> String {
    let host = if listen.ip().is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        listen.ip()
    };
    format!("http://{}/", SocketAddr::new(host, listen.port()))
}
