//! What the verifier is compared with: this same program, started again as a process that serves one of them.
//!
//! `floor` parses the request's JSON on one thread and answers a constant. `receipt` is what a provider would write:
//! it asks a node for the transaction's receipt and checks the log. `node` is that node, with receipts in memory.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use alloy::primitives::{Address, B256, U256, b256};
use axum::{Json, Router, extract::State, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};
use x402_tests::{
    market::payments::{PRICE, Paid, Payments, block, block_hash},
    process::Process,
};

use crate::PROVIDERS;

/// Payments that the node has receipts of.
pub(crate) const RECEIPTS: u64 = 20_000;

/// As long as a real verdict, so that the load generator has the same to read.
pub(crate) const FLOOR_ANSWER: &str = include_str!("floor_answer.json");

/// What the receipt service says to each good payment.
pub(crate) const PAID: &str = r#"{"paid":true}"#;

/// `Transfer(address,address,uint256)`.
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// A baseline that runs. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Baseline {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Baseline {
    /// Starts one by its name; the receipt service takes the node's address.
    pub(crate) fn start(name: &str, node: Option<SocketAddr>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", name])
            .args(node.map(|node| node.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().parse().unwrap();
        Self { child, address }
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The requests to the receipt service.
pub(crate) fn asks(payments: &Payments) -> Vec<String> {
    (0..RECEIPTS)
        .map(|number| {
            let transfer = payments.transfer(number);
            json!({
                "txHash": transfer.id.tx_hash, "logIndex": transfer.id.log_index,
                "payTo": transfer.to, "amount": PRICE,
            })
            .to_string()
        })
        .collect()
}

/// Serves one of the baselines until the process is killed. `words` is what stands behind `--serve`.
pub(crate) fn serve(words: &[String]) {
    let (threads, routes) = match words[0].as_str() {
        "floor" => (1, Router::new().route("/verify", post(floor))),
        "receipt" => {
            let node = format!("http://{}/", words[1]);
            let asker = Asker {
                client: reqwest::Client::new(),
                node,
            };
            let routes = Router::new().route("/check", post(receipt));
            (2, routes.with_state(asker))
        }
        "node" => {
            let routes = Router::new().route("/", post(node));
            (2, routes.with_state(Arc::new(receipts())))
        }
        other => panic!("no baseline is called {other}"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        // On a worker: the thread that blocks would be one more.
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
        serving.await.unwrap().unwrap();
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "parsed for the sake of parsing")]
struct AnyRequest {
    proof: String,
    invoice_id: String,
    amount: String,
    pay_to: String,
    network: String,
    resource: String,
    min_confirmations: u64,
    claim: bool,
    attempt: String,
}

async fn floor(Json(_): Json<AnyRequest>) -> ([(&'static str, &'static str); 1], &'static str) {
    ([("content-type", "application/json")], FLOOR_ANSWER)
}

#[derive(Clone, Debug)]
struct Asker {
    client: reqwest::Client,
    node: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ask {
    tx_hash: B256,
    log_index: u64,
    pay_to: Address,
    amount: String,
}

#[derive(Deserialize)]
struct Reply {
    result: Option<Receipt>,
}

#[derive(Deserialize)]
struct Receipt {
    status: String,
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    topics: Vec<B256>,
    data: U256,
    #[serde(rename = "logIndex")]
    index: String,
}

async fn receipt(State(asker): State<Asker>, Json(ask): Json<Ask>) -> Json<Value> {
    let question = json!({
        "jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionReceipt", "params": [ask.tx_hash],
    });
    let answer = asker.client.post(&asker.node).json(&question).send().await;
    let reply: Reply = answer.unwrap().json().await.unwrap();
    let paid = reply.result.is_some_and(|receipt| {
        receipt.status == "0x1" && receipt.logs.iter().any(|log| ask.is_paid_by(log))
    });
    Json(json!({ "paid": paid }))
}

impl Ask {
    fn is_paid_by(&self, log: &Log) -> bool {
        let amount: x402_schemas::amount::Amount = self.amount.parse().unwrap();
        log.index == format!("{:#x}", self.log_index)
            && log.topics.len() == 3
            && log.topics[0] == TRANSFER
            && log.topics[2] == self.pay_to.into_word()
            && log.data == amount.base_units()
    }
}

#[derive(Deserialize)]
struct Question {
    params: [B256; 1],
}

async fn node(
    State(receipts): State<Arc<HashMap<B256, String>>>,
    Json(question): Json<Question>,
) -> ([(&'static str, &'static str); 1], String) {
    let receipt = receipts.get(&question.params[0]);
    let result = receipt.map_or("null", String::as_str);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
    ([("content-type", "application/json")], body)
}

fn receipts() -> HashMap<B256, String> {
    let payments = Payments::to(PROVIDERS, Paid::EachSeller);
    let receipt = |number: u64| {
        let transfer = payments.transfer(number);
        let (hash, block_hash) = (transfer.id.tx_hash, block_hash(transfer.block_number));
        let block_number = format!("{:#x}", block(number));
        let log = json!({
            "address": transfer.token, "blockHash": block_hash, "blockNumber": block_number,
            "transactionHash": hash, "transactionIndex": "0x0", "removed": false,
            "logIndex": format!("{:#x}", transfer.id.log_index),
            "topics": [TRANSFER, transfer.from.into_word(), transfer.to.into_word()],
            "data": B256::from(transfer.amount.base_units()),
        });
        let receipt = json!({
            "transactionHash": hash, "transactionIndex": "0x0", "blockHash": block_hash,
            "blockNumber": block_number, "from": transfer.from, "to": transfer.token,
            "cumulativeGasUsed": "0xcf08", "gasUsed": "0xcf08", "effectiveGasPrice": "0x3b9aca00",
            "contractAddress": null, "logsBloom": format!("0x{}", "00".repeat(256)),
            "status": "0x1", "type": "0x2", "logs": [log],
        });
        (hash, receipt.to_string())
    };
    (0..RECEIPTS).map(receipt).collect()
}
