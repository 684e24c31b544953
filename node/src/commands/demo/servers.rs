//! What the services stand on: the chain node and ClickHouse, as children of this process.

use std::time::Instant;

use anyhow::Context;
use indicatif::MultiProgress;
use reqwest::Url;

use super::{BLOCK_SECONDS, DemoArgs, done};
use crate::local::{
    chain::{Chain, ChainOptions},
    child::Launcher,
    clickhouse::{ClickHouse, ClickHouseOptions},
    install,
};

/// The two servers, running.
pub(super) struct Servers {
    pub(super) launcher: Launcher,
    pub(super) chain: Chain,
    clickhouse: Option<ClickHouse>,
    pub(super) clickhouse_url: Url,
}

impl Servers {
    pub(super) async fn start(args: &DemoArgs) -> anyhow::Result<Self> {
        let begin = Instant::now();
        let tools = install::ensure(
            &args.tools_dir,
            std::env::var_os("PATH").as_deref(),
            &MultiProgress::new(),
        )
        .await?;
        done("tools", begin.elapsed(), args.tools_dir.display());
        let launcher = Launcher::new(
            std::env::current_exe().context("this program's own path is not known")?,
        )?;
        let options = ChainOptions {
            folder: args.data_dir.join("chain"),
            port: args.ports.child(8545),
            block_seconds: Some(BLOCK_SECONDS),
            state: Some(args.data_dir.join("chain/state.json")),
            ipc: None,
        };
        let chain = Chain::start(&launcher, tools.anvil, &options).await?;
        done(
            "chain",
            chain.started_in,
            format!("{}, a block each second", chain.url),
        );
        let (clickhouse, clickhouse_url) = if let Some(url) = &args.clickhouse_url {
            (None, url.clone())
        } else {
            let options = ClickHouseOptions {
                folder: args.data_dir.join("clickhouse"),
                http_port: args.ports.child(8123),
            };
            let clickhouse = ClickHouse::start(&launcher, &tools.clickhouse, &options).await?;
            done("ClickHouse", clickhouse.started_in, &clickhouse.url);
            let url = clickhouse.url.clone();
            (Some(clickhouse), url)
        };
        Ok(Self {
            launcher,
            chain,
            clickhouse,
            clickhouse_url,
        })
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.chain.stop().await?;
        if let Some(clickhouse) = self.clickhouse {
            clickhouse.stop().await?;
        }
        Ok(())
    }
}
