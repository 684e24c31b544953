//! `x402 wallet`: a treasury's key, kept on this machine, and what it signs.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use reqwest::Url;
use secrecy::SecretString;
use x402_schemas::{
    amount::Amount,
    api::owner::{AttachTreasury, RelayTransaction},
};

use super::{connection::OwnerArgs, top_up};
use crate::{
    owner::Owner,
    terminal::{note, say, say_json},
    wallet::Wallet,
};

/// How long an approval may take to be mined before the command stops waiting.
const APPROVAL_WAIT: Duration = Duration::from_mins(2);

#[derive(Debug, Subcommand)]
pub(crate) enum WalletCommand {
    /// Make a treasury: a new key in an encrypted keystore file. Prints its address.
    New {
        #[command(flatten)]
        keystore: KeystoreArgs,
    },
    /// Attach the treasury to the workspace: signed here, the key stays here.
    Attach {
        #[command(flatten)]
        keystore: KeystoreArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Set how much the workspace's spender may move: signed here, sent by the gateway. 0 revokes.
    Approve {
        /// The allowance in MNEE; it replaces the one before.
        allowance: Amount,
        #[command(flatten)]
        keystore: KeystoreArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Give the workspace's spender ether for gas: signed here, sent by the gateway.
    TopUp {
        /// How much, in ether.
        ether: Amount,
        /// The keystore to take it from; the treasury's when absent.
        #[arg(long, requires = "rpc_url")]
        from: Option<PathBuf>,
        /// A chain endpoint to send it by, instead of the gateway.
        #[arg(long)]
        rpc_url: Option<Url>,
        #[command(flatten)]
        keystore: KeystoreArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Show the treasury as the chain has it: balance, allowance, gas.
    Balance {
        #[command(flatten)]
        owner: OwnerArgs,
    },
}

/// A keystore file and its passphrase.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeystoreArgs {
    /// The keystore file.
    #[arg(long, env = "X402_KEYSTORE", default_value = "treasury.json")]
    keystore: PathBuf,
    /// Its passphrase; asked for when absent. It never leaves this machine.
    #[arg(long, env = "X402_KEYSTORE_PASSPHRASE", hide_env_values = true)]
    passphrase: Option<SecretString>,
}

impl KeystoreArgs {
    fn create(&self) -> anyhow::Result<Wallet> {
        let passphrase = if let Some(passphrase) = &self.passphrase {
            passphrase.clone()
        } else {
            let first = rpassword::prompt_password("New passphrase: ")?;
            if first != rpassword::prompt_password("Again: ")? {
                bail!("the two passphrases differ; nothing was written");
            }
            SecretString::from(first)
        };
        Ok(Wallet::create(&self.keystore, &passphrase)?)
    }

    fn open(&self) -> anyhow::Result<Wallet> {
        let passphrase = match &self.passphrase {
            Some(passphrase) => passphrase.clone(),
            None => SecretString::from(rpassword::prompt_password("Passphrase: ")?),
        };
        Wallet::open(&self.keystore, &passphrase)
            .with_context(|| format!("with keystore {}", self.keystore.display()))
    }
}

pub(crate) async fn run(command: WalletCommand) -> anyhow::Result<()> {
    match command {
        WalletCommand::New { keystore } => {
            let wallet = keystore.create()?;
            say(wallet.address());
            note(format!(
                "key written to {}; back it up with its passphrase: nobody else has either",
                keystore.keystore.display()
            ));
            Ok(())
        }
        WalletCommand::Attach { keystore, owner } => {
            say_json(&attach(&owner.connect()?, &keystore.open()?).await?)
        }
        WalletCommand::Approve {
            allowance,
            keystore,
            owner,
        } => {
            let owner = owner.connect()?;
            let sent = approve(&owner, &keystore.open()?, allowance).await?;
            note(format!("sent {sent}; waiting until the chain has it"));
            say_json(&approved(&owner, allowance).await?)
        }
        WalletCommand::TopUp {
            ether,
            from,
            rpc_url,
            mut keystore,
            owner,
        } => {
            if let Some(from) = from {
                keystore.keystore = from;
            }
            let owner = owner.connect()?;
            let had = owner.treasury().await?.spender_gas_wei;
            let sent = top_up::send(&owner, &keystore.open()?, ether, rpc_url).await?;
            note(format!("sent {sent}; waiting until the chain has it"));
            say_json(&top_up::arrived(&owner, &had).await?)
        }
        WalletCommand::Balance { owner } => say_json(&owner.connect()?.treasury().await?),
    }
}

/// Attaches a treasury to the owner's workspace.
pub(crate) async fn attach(
    owner: &Owner,
    wallet: &Wallet,
) -> anyhow::Result<x402_schemas::api::owner::TreasuryView> {
    let workspace = owner.workspace().await?;
    let signature =
        wallet.sign_attachment(&workspace.workspace_id, workspace.network, workspace.token)?;
    owner
        .attach_treasury(&AttachTreasury {
            address: wallet.address(),
            signature,
        })
        .await
}

/// Signs an allowance for the workspace's spender and has the gateway send it.
pub(crate) async fn approve(
    owner: &Owner,
    wallet: &Wallet,
    allowance: Amount,
) -> anyhow::Result<alloy::primitives::B256> {
    let treasury = owner.treasury().await?;
    if treasury.address != wallet.address() {
        bail!(
            "this keystore is of {}, the workspace's treasury is {}",
            wallet.address(),
            treasury.address
        );
    }
    let raw_transaction = wallet.sign_approval(&treasury, allowance)?;
    Ok(owner
        .relay(&RelayTransaction { raw_transaction })
        .await?
        .tx_hash)
}

/// Waits until the chain shows the allowance.
pub(crate) async fn approved(
    owner: &Owner,
    allowance: Amount,
) -> anyhow::Result<x402_schemas::api::owner::TreasuryView> {
    let shown = async {
        loop {
            let treasury = owner.treasury().await?;
            if treasury.allowance == allowance {
                return anyhow::Ok(treasury);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    match tokio::time::timeout(APPROVAL_WAIT, shown).await {
        Ok(treasury) => treasury,
        Err(_) => bail!("the approval is not mined yet; `x402 wallet balance` shows when it is"),
    }
}
