//! The demo's paid API and agent in TypeScript, as processes of Node.js that use only the SDKs.

use std::{process::Stdio, time::Instant};

use alloy::primitives::B256;
use anyhow::{Context, ensure};
use reqwest::Url;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

use super::{DemoArgs, TEXT, api::Endpoint, done, servers::Servers, setup::Cast};
use crate::{
    local::{
        js::{self, JsPackages},
        server::Server,
    },
    terminal::say,
};

/// The most that is read of what an agent bought, in bytes.
const MAX_BOUGHT_BYTES: u64 = 64 * 1_024;

/// The running API, and what its agents are started from.
pub(super) struct Scripts {
    packages: JsPackages,
    url: Url,
    // Dropping it ends its process.
    _server: Server,
}

/// What the agent's script prints last.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bought {
    status: u16,
    tx_hash: Option<B256>,
    body: String,
}

/// Builds the packages on first use and starts the API.
pub(super) async fn start(
    args: &DemoArgs,
    servers: &Servers,
    verifier: &Url,
    cast: &Cast,
    port: Option<u16>,
) -> anyhow::Result<Scripts> {
    let begin = Instant::now();
    let packages = js::ensure(&args.js_dir).await?;
    done("TypeScript", begin.elapsed(), args.js_dir.display());
    let environment = vec![
        ("X402_VERIFIER_URL", verifier.to_string()),
        ("X402_PROVIDER_KEY", cast.provider_key.clone()),
        ("X402_PAY_TO", cast.pay_to.to_checksum(None)),
        ("X402_NETWORK", "devnet".to_owned()),
    ];
    let log = args.data_dir.join("api.log");
    let api = "examples/demo-api.mjs";
    let server = packages
        .serve(&servers.launcher, api, environment, log, port)
        .await?;
    let url = format!("http://127.0.0.1:{}/", server.port).parse()?;
    Ok(Scripts {
        packages,
        url,
        _server: server,
    })
}

impl Scripts {
    /// Where the API is.
    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// One purchase by the agent's script; returns its transaction.
    pub(super) async fn buy(
        &self,
        gateway: &Url,
        cast: &Cast,
        endpoint: &Endpoint,
    ) -> anyhow::Result<B256> {
        let mut agent = Command::new("node")
            .arg(self.packages.file("examples/demo-agent.mjs"))
            .args([
                endpoint.method,
                self.url.join(endpoint.path)?.as_str(),
                endpoint.price,
            ])
            .args((endpoint.method == "POST").then_some(TEXT))
            .env("X402_GATEWAY_URL", gateway.as_str())
            .env("X402_AGENT_KEY", &cast.agent_key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("Node.js cannot be started")?;
        let steps = agent.stderr.take().context("the agent's steps are piped")?;
        let mut steps = BufReader::new(steps).lines();
        while let Some(step) = steps.next_line().await? {
            say(format!("  {step}"));
        }
        let bought = agent.stdout.take().context("the agent's answer is piped")?;
        let mut text = String::new();
        bought
            .take(MAX_BOUGHT_BYTES)
            .read_to_string(&mut text)
            .await?;
        ensure!(agent.wait().await?.success(), "the agent's purchase failed");
        let bought: Bought = serde_json::from_str(&text).context("the agent says nothing")?;
        ensure!(bought.status == 200, "the API answered {}", bought.status);
        say(format!("  answer     {}", bought.body));
        bought
            .tx_hash
            .context("the API served the request without a payment")
    }
}
