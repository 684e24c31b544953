//! One test's token, database, services and people.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};

use alloy::{
    primitives::{Address, U256},
    providers::Provider,
    signers::local::PrivateKeySigner,
};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tempfile::TempDir;
use x402::{
    local::{chain::Chain, token::LocalToken},
    owner::Owner,
    stack::{ServiceFlag, Stack, StackOptions},
    wallet::Wallet,
};
use x402_schemas::{
    amount::Amount,
    api::{
        members::{CreateMember, Role},
        owner::{
            AttachTreasury, CreateAgent, CreateProvider, CreateWorkspace, Payee, RelayTransaction,
        },
    },
    index::IndexReader,
    network::Network,
    policy::{AllowedProvider, Policy},
};
use x402_service::lifecycle::{GRACE, Tasks};

use crate::{
    raw::{self, Answer},
    shared::{Shared, shared},
};

/// One ether, in wei.
const ETHER: u64 = 1_000_000_000_000_000_000;
/// How long anything that has to happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Where the provider of every test sells.
pub const HOST: &str = "127.0.0.1";
/// The token of the operator of every test's gateway.
pub const OPERATOR_TOKEN: &str = "operator-token-of-the-tests";
/// The passphrase of every test's keystores.
pub const PASSPHRASE: &str = "for the tests only";

/// A running system with an owner, a funded treasury, an agent and a provider.
#[derive(Debug)]
pub struct World {
    /// What the run shares.
    pub shared: &'static Shared,
    /// The chain, when it is this test's own.
    pub own_chain: Option<Chain>,
    /// The test's token, with its administrator's powers.
    pub token: LocalToken,
    /// How the services were started.
    pub options: StackOptions,
    /// The services.
    pub stack: Stack,
    /// The tasks that run them.
    pub tasks: Tasks,
    /// Ledger, claims, keystores.
    pub folder: TempDir,
    /// The workspace.
    pub owner: Owner,
    /// The workspace's id.
    pub workspace_id: String,
    /// The treasury's key.
    pub treasury: Wallet,
    /// The agent's id.
    pub agent_id: String,
    /// The agent's key.
    pub agent_key: String,
    /// The provider's id.
    pub provider_id: String,
    /// The provider's key.
    pub provider_key: String,
    /// Where the provider is paid.
    pub pay_to: Address,
}

impl World {
    /// A world on the shared chain.
    pub async fn new(exe: &str) -> Self {
        let shared = shared(exe).await;
        Self::start(shared, None, |_| ()).await
    }

    /// A world whose quotes last only so long.
    pub async fn with_quote_ttl(exe: &str, seconds: u64) -> Self {
        let flag = ("gateway", "quote-ttl-seconds", seconds.to_string());
        Self::with_flag(exe, flag).await
    }

    /// A world with a flag of a service.
    pub async fn with_flag(exe: &str, flag: ServiceFlag) -> Self {
        let shared = shared(exe).await;
        Self::start(shared, None, |options| set_flag(options, flag)).await
    }

    /// A world on a chain of its own.
    pub async fn on_own_chain(exe: &str, name: &str) -> Self {
        let shared = shared(exe).await;
        let chain = shared.own_chain(name).await;
        Self::start(shared, Some(chain), |_| ()).await
    }

    /// A world on a chain of its own, with a flag of a service.
    pub async fn on_own_chain_with(exe: &str, name: &str, flag: ServiceFlag) -> Self {
        let shared = shared(exe).await;
        let chain = shared.own_chain(name).await;
        Self::start(shared, Some(chain), |options| set_flag(options, flag)).await
    }

    /// A world on this chain, with other options: other ways to the chain or to ClickHouse.
    pub async fn on_chain_with(
        exe: &str,
        chain: Chain,
        change: impl FnOnce(&mut StackOptions),
    ) -> Self {
        let shared = shared(exe).await;
        Self::start(shared, Some(chain), change).await
    }

    async fn start(
        shared: &'static Shared,
        own_chain: Option<Chain>,
        change: impl FnOnce(&mut StackOptions),
    ) -> Self {
        let chain = own_chain.as_ref().unwrap_or(&shared.chain);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let token = place_token(chain).await;
        let mut options = stack_options(shared, chain, &token, &folder);
        change(&mut options);
        let tasks = Tasks::new();
        let stack = start_services(&options, &tasks).await;
        let gateway = url(stack.gateway);

        let operator = Owner::new(gateway.clone(), SecretString::from(OPERATOR_TOKEN)).unwrap();
        let (owner, workspace_id) = create_workspace(&operator, &gateway).await;
        let treasury = new_wallet(&folder);
        let pay_to = PrivateKeySigner::random().address();
        let provider = owner
            .create_provider(&CreateProvider {
                name: "provider".into(),
                payees: vec![Payee(pay_to)],
                hosts: vec![HOST.parse().expect("a test's host is a host")],
            })
            .await
            .unwrap();
        let agent = owner
            .create_agent(&CreateAgent {
                name: "agent".into(),
                policy: Some(policy(pay_to)),
            })
            .await
            .unwrap();
        let world = Self {
            shared,
            own_chain,
            token,
            options,
            stack,
            tasks,
            folder,
            owner,
            workspace_id,
            treasury,
            agent_id: agent.agent_id,
            agent_key: agent.api_key,
            provider_id: provider.provider_id,
            provider_key: provider.api_key,
            pay_to,
        };
        world.fund_treasury(&world.owner, &world.treasury).await;
        world
    }

    /// Attaches a treasury, gives it 1,000 MNEE and gas, and approves 500 of them.
    pub async fn fund_treasury(&self, owner: &Owner, treasury: &Wallet) {
        let workspace = owner.workspace().await.unwrap();
        let signature = treasury
            .sign_attachment(&workspace.workspace_id, workspace.network, workspace.token)
            .unwrap();
        let address = treasury.address();
        owner
            .attach_treasury(&AttachTreasury { address, signature })
            .await
            .unwrap();
        self.token.mint(address, amount("1000")).await.unwrap();
        let ether = U256::from(ETHER);
        self.token.fund_gas(address, ether).await.unwrap();
        self.token.fund_gas(workspace.spender, ether).await.unwrap();
        self.approve(owner, treasury, "500").await;
    }

    /// Has the treasury approve so much to the workspace's spender, and waits for it.
    pub async fn approve(&self, owner: &Owner, treasury: &Wallet, allowance: &str) {
        let view = owner.treasury().await.unwrap();
        let raw_transaction = treasury.sign_approval(&view, amount(allowance)).unwrap();
        owner
            .relay(&RelayTransaction { raw_transaction })
            .await
            .unwrap();
        eventually("the allowance is on the chain", async || {
            owner.treasury().await.unwrap().allowance == amount(allowance)
        })
        .await;
    }

    /// A second workspace at the same gateway.
    pub async fn other_owner(&self) -> Owner {
        let operator = Owner::new(self.gateway(), SecretString::from(OPERATOR_TOKEN)).unwrap();
        create_workspace(&operator, &self.gateway()).await.0
    }

    /// A new member of the workspace, with its key.
    pub async fn member(&self, role: Role) -> Owner {
        let request = CreateMember {
            name: role.to_string(),
            role,
        };
        let member = self.owner.create_member(&request).await.unwrap();
        Owner::new(self.gateway(), SecretString::from(member.api_key)).unwrap()
    }

    /// Replaces the agent's policy.
    pub async fn set_policy(&self, change: impl FnOnce(&mut Policy)) {
        let mut policy = policy(self.pay_to);
        change(&mut policy);
        self.owner
            .set_policy(&self.agent_id, &policy)
            .await
            .unwrap();
    }

    /// The gateway's URL.
    pub fn gateway(&self) -> Url {
        url(self.stack.gateway)
    }

    /// The verifier's URL.
    pub fn verifier(&self) -> Url {
        url(self.stack.verifier)
    }

    /// This test's database, past every service.
    pub fn clickhouse(&self) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(self.options.clickhouse_url.as_str())
            .with_database(&self.options.database)
    }

    /// Exact reads of this test's index.
    pub fn index(&self) -> IndexReader {
        IndexReader::new(self.clickhouse(), Network::DEVNET)
    }

    /// `POST /quote` for a fresh price of 0.05 MNEE, with changes.
    pub async fn quote(&self, invoice_id: &str, changes: serde_json::Value) -> Answer {
        let mut body = json!({
            "invoiceId": invoice_id,
            "amount": "0.05",
            "payTo": self.pay_to.to_checksum(None),
            "network": "devnet",
            "providerUrl": "http://127.0.0.1:1/report",
        });
        merge(&mut body, changes);
        self.agent_post("quote", &body).await
    }

    /// `POST /pay`.
    pub async fn pay(&self, quote_id: &str) -> Answer {
        self.agent_post("pay", &json!({ "quoteId": quote_id, "waitMs": 60_000 }))
            .await
    }

    /// Quotes and pays 0.05 MNEE for an invoice; returns the answer to `/pay` when it has settled.
    pub async fn settled(&self, invoice_id: &str) -> serde_json::Value {
        let (status, quote) = self.quote(invoice_id, json!({})).await;
        assert_eq!(status, 200, "{quote}");
        let (status, paid) = self.pay(quote["quoteId"].as_str().unwrap()).await;
        assert_eq!(status, 200, "{paid}");
        paid
    }

    /// `POST /verify` as the provider, with changes.
    pub async fn verify(
        &self,
        proof: &str,
        invoice_id: &str,
        changes: serde_json::Value,
    ) -> serde_json::Value {
        let mut body = json!({ "proof": proof, "invoiceId": invoice_id });
        merge(&mut body, changes);
        let (status, answer) = self.provider_post("verify", &body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Posts to the gateway with the agent's key.
    pub async fn agent_post(&self, path: &str, body: &serde_json::Value) -> Answer {
        let url = self.gateway().join(path).unwrap();
        raw::send(Method::POST, url.as_str(), Some(&self.agent_key), body).await
    }

    /// Posts to the verifier with the provider's key.
    pub async fn provider_post(&self, path: &str, body: &serde_json::Value) -> Answer {
        let url = self.verifier().join(path).unwrap();
        raw::send(Method::POST, url.as_str(), Some(&self.provider_key), body).await
    }

    /// What an address holds.
    pub async fn balance(&self, account: Address) -> Amount {
        self.token.balance_of(account).await.unwrap()
    }

    /// The chain that this world is on.
    pub fn chain(&self) -> &Chain {
        self.own_chain.as_ref().unwrap_or(&self.shared.chain)
    }

    /// Waits until the index has reached the chain's present head.
    pub async fn caught_up(&self) {
        let head = self.chain().rpc().get_block_number().await.unwrap();
        let index = self.index();
        eventually("the index reaches the head", async || {
            index
                .tip()
                .await
                .unwrap()
                .is_some_and(|tip| tip.block_number >= head)
        })
        .await;
    }

    /// The chain as it is now, for [`Self::drop_payments_since`].
    pub async fn snapshot(&self) -> U256 {
        let rpc = self.chain().rpc();
        rpc.raw_request("evm_snapshot".into(), ()).await.unwrap()
    }

    /// Replaces the chain since a snapshot by five empty blocks. On the new fork another transaction has the payments'
    /// nonces, so that they never come back.
    pub async fn drop_payments_since(&self, snapshot: U256) {
        let rpc = self.chain().rpc();
        let automine = async |on: bool| {
            let _: () = rpc
                .raw_request("evm_setAutomine".into(), (on,))
                .await
                .unwrap();
        };
        automine(false).await;
        let reverted: bool = rpc
            .raw_request("evm_revert".into(), (snapshot,))
            .await
            .unwrap();
        assert!(reverted);
        let spender = self.owner.workspace().await.unwrap().spender;
        let nonce = (spender, U256::from(100));
        let _: () = rpc
            .raw_request("anvil_setNonce".into(), nonce)
            .await
            .unwrap();
        automine(true).await;
        self.chain().mine(5).await.unwrap();
    }

    /// Stops the services as a signal would, and starts them again on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.tasks = Tasks::new();
        self.options.gateway_listen = self.stack.gateway;
        self.options.verifier_listen = self.stack.verifier;
        self.stack = start_services(&self.options, &self.tasks).await;
    }

    /// The command line that runs the same services as `x402 node` in a process of their own.
    pub fn node_command(&self, exe: &str) -> Command {
        let options = &self.options;
        let rpc_urls: Vec<&str> = options.rpc_urls.iter().map(Url::as_str).collect();
        let mut command = Command::new(exe);
        command
            .args(["node", "--rpc-url", &rpc_urls.join(",")])
            .args(["--clickhouse-url", options.clickhouse_url.as_str()])
            .args(["--clickhouse-database", &options.database])
            .args(["--token", &self.token.address.to_checksum(None)])
            .arg("--data-dir")
            .arg(&options.data_dir)
            .args(["--gateway-listen", &self.stack.gateway.to_string()])
            .args(["--verifier-listen", &self.stack.verifier.to_string()])
            .args(["--admin-listen", &self.stack.admin.to_string()])
            .env("X402_GATEWAY_PASSPHRASE", PASSPHRASE)
            .env("X402_OPERATOR_TOKEN", OPERATOR_TOKEN)
            .env("X402_GATEWAY_CLOSE_SECONDS", "1")
            .stderr(std::process::Stdio::null());
        command
    }

    /// Stops the services.
    pub async fn stop(&self) {
        let code = self
            .tasks
            .clone()
            .run_until(std::future::ready(()), GRACE)
            .await;
        assert_eq!(
            format!("{code:?}"),
            format!("{:?}", std::process::ExitCode::SUCCESS)
        );
    }
}

/// Waits for a condition that has to come true by itself.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let happened = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
    assert!(
        happened,
        "within {PATIENCE:?} it did not happen that {what}"
    );
}

/// An amount of MNEE.
pub fn amount(text: &str) -> Amount {
    text.parse().expect("a test's amount is an amount")
}

/// An owner's key, for requests below the commands.
pub fn secret(owner: &Owner) -> &str {
    owner.key().expose_secret()
}

/// The URL of a listener.
pub fn url(address: SocketAddr) -> Url {
    format!("http://{address}/")
        .parse()
        .expect("an address makes a URL")
}

/// Generous limits, for one payee.
pub fn policy(pay_to: Address) -> Policy {
    Policy::new(
        amount("10"),
        amount("100"),
        amount("200"),
        vec![AllowedProvider::Payee(pay_to)],
    )
}

/// A new keystore in the folder.
pub fn new_wallet(folder: &TempDir) -> Wallet {
    let name = format!("{}.json", PrivateKeySigner::random().address());
    Wallet::create(&folder.path().join(name), &SecretString::from(PASSPHRASE)).unwrap()
}

/// The token at an address of the test's own, with an administrator of its own.
pub async fn place_token(chain: &Chain) -> LocalToken {
    let admin = PrivateKeySigner::random().address();
    let rpc = chain.rpc();
    let unlocked: Result<(), _> = rpc
        .raw_request("anvil_impersonateAccount".into(), (admin,))
        .await;
    unlocked.expect("the chain unlocks the administrator");
    let funded: Result<(), _> = rpc
        .raw_request("anvil_setBalance".into(), (admin, U256::from(ETHER)))
        .await;
    funded.expect("the chain funds the administrator");
    let address = PrivateKeySigner::random().address();
    LocalToken::place(chain, address, admin)
        .await
        .expect("the token can be placed")
}

/// Options of a world's services, on free ports.
pub fn stack_options(
    shared: &Shared,
    chain: &Chain,
    token: &LocalToken,
    folder: &TempDir,
) -> StackOptions {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    StackOptions {
        rpc_urls: vec![chain.url.clone()],
        clickhouse_url: shared.clickhouse.url.clone(),
        database: format!("test_{:x}", token.address),
        token: Some(token.address),
        data_dir: folder.path().to_owned(),
        passphrase: SecretString::from(PASSPHRASE),
        operator_token: SecretString::from(OPERATOR_TOKEN),
        gateway_listen: anywhere,
        verifier_listen: anywhere,
        admin_listen: anywhere,
        flags: vec![
            ("indexer", "poll-ms", "20".into()),
            // Tests that wait for something ask again and again.
            ("gateway", "key-rate-per-minute", "1000000".into()),
            // What they wait for is also that spend is closed.
            ("gateway", "close-seconds", "1".into()),
        ],
    }
}

/// Sets a flag, whatever it was before.
fn set_flag(options: &mut StackOptions, (service, name, value): ServiceFlag) {
    options
        .flags
        .retain(|(of, flag, _)| (*of, *flag) != (service, name));
    options.flags.push((service, name, value));
}

async fn start_services(options: &StackOptions, tasks: &Tasks) -> Stack {
    Stack::start(&x402::command_tree(), options, tasks)
        .await
        .unwrap_or_else(|error| panic!("the services start: {error:#}"))
}

async fn create_workspace(operator: &Owner, gateway: &Url) -> (Owner, String) {
    let workspace = operator
        .create_workspace(&CreateWorkspace {
            name: "workspace".into(),
            monthly_budget: amount("1000"),
        })
        .await
        .unwrap();
    let owner = Owner::new(gateway.clone(), SecretString::from(workspace.api_key)).unwrap();
    (owner, workspace.workspace_id)
}

fn merge(body: &mut serde_json::Value, changes: serde_json::Value) {
    let (Some(body), serde_json::Value::Object(changes)) = (body.as_object_mut(), changes) else {
        panic!("a body and its changes are objects");
    };
    body.extend(changes);
}
