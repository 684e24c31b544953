use alloy::{
    primitives::Address,
    rpc::types::{Filter, Log},
};

use super::*;
use crate::scripted::{
    gate::{Gate, Trouble},
    limits::{Limits, Wording},
    wire::Request,
};

const TOKEN: Address = Address::repeat_byte(0x77);

async fn node(replicas: Vec<Replica>) -> Node {
    let mut chain = Chain::new(3, 31_337, TOKEN);
    chain.extend(40);
    chain.finalize(10);
    Node::start(3, chain, replicas, Fuse::default()).await
}

async fn ask(url: &Url, method: &str, params: Value) -> reqwest::Result<Value> {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let http = reqwest::Client::builder().no_proxy().build()?;
    http.post(url.clone())
        .json(&call)
        .send()
        .await?
        .json()
        .await
}

async fn logs(node: &Node, filter: Filter) -> Vec<Log> {
    let answer = ask(&node.url, "eth_getLogs", json!([filter]))
        .await
        .unwrap();
    serde_json::from_value(answer["result"].clone()).unwrap()
}

#[tokio::test]
async fn logs_by_block_and_by_range_are_the_same_and_filtered() {
    let node = node(vec![Replica::default()]).await;
    let all = logs(&node, Filter::new().from_block(0).to_block(40)).await;
    let mut by_block = Vec::new();
    for block in node.with(|reins| reins.chain.canonical().clone()).iter() {
        by_block.extend(logs(&node, Filter::new().at_block_hash(block.hash)).await);
    }
    assert_eq!(all, by_block);
    let own = logs(
        &node,
        Filter::new().address(TOKEN).from_block(0).to_block(40),
    )
    .await;
    assert!(own.len() < all.len() && own.iter().all(|log| log.address() == TOKEN));
}

#[tokio::test]
async fn a_call_among_several_is_answered_in_its_place() {
    let node = node(vec![Replica::default()]).await;
    let call = |id, method| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": [] });
    let calls = json!([call(7, "eth_chainId"), call(8, "eth_nonsense")]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http
        .post(node.url.clone())
        .json(&calls)
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        (&answer[0]["id"], &answer[0]["result"]),
        (&json!(7), &json!("0x7a69"))
    );
    assert_eq!(answer[1]["error"]["code"], -32601);
}

#[tokio::test]
async fn a_block_that_a_replica_has_not_seen_is_an_error_or_silence() {
    let node = node(vec![Replica::default()]).await;
    let head = node.with(|reins| {
        let chain = &reins.chain;
        reins.replicas[0].leave_behind(chain, 5);
        chain.head().hash
    });
    let filter = json!([Filter::new().at_block_hash(head)]);
    let answer = ask(&node.url, "eth_getLogs", filter.clone()).await.unwrap();
    assert_eq!(answer["error"]["message"], "unknown block");
    node.with(|reins| reins.replicas[0].hides_ignorance = true);
    let mut silences = 0;
    while ask(&node.url, "eth_getLogs", filter.clone()).await.unwrap()["result"] == json!([]) {
        silences += 1;
    }
    assert_eq!(silences, 2, "silence is not for ever");
    let newest = ask(&node.url, "eth_blockNumber", json!([])).await.unwrap();
    assert_eq!(newest["result"], "0x23");
}

#[tokio::test]
async fn a_range_within_the_hint_passes() {
    let limits = Limits {
        blocks: Some(7),
        logs: None,
        wording: Wording::Alchemy,
    };
    let node = node(vec![Replica {
        limits,
        ..Replica::default()
    }])
    .await;
    let filter = json!([Filter::new().from_block(10).to_block(30)]);
    let answer = ask(&node.url, "eth_getLogs", filter).await.unwrap();
    let hint = answer["error"]["message"].as_str().unwrap();
    assert!(hint.ends_with("[0xa, 0x10]"), "{hint}");
    logs(&node, Filter::new().from_block(0xa).to_block(0x10)).await;
}

#[tokio::test]
async fn bad_weather_ends() {
    let node = node(vec![Replica::default()]).await;
    for fault in [
        Fault::Truncated,
        Fault::BrokenJson,
        Fault::ErrorPage,
        Fault::TooManyRequests { retry_after: true },
        Fault::Unavailable,
        Fault::Reset,
    ] {
        node.with(|reins| {
            reins.weather = Weather {
                per_mille: 1_000,
                left: 3,
                faults: vec![fault],
            };
        });
        let mut failed = 0;
        while ask(&node.url, "eth_blockNumber", json!([])).await.is_err() {
            failed += 1;
        }
        assert_eq!(failed, 3, "{fault:?}");
    }
}

#[tokio::test]
async fn each_lie_is_told_where_it_fits() {
    let node = node(vec![Replica::default()]).await;
    let blocks = node.with(|reins| reins.chain.canonical().clone());
    let many = blocks.iter().find(|block| block.logs.len() > 3).unwrap();
    let filter = json!([Filter::new().at_block_hash(many.hash)]);
    let honest = ask(&node.url, "eth_getLogs", filter.clone()).await.unwrap();
    for fault in [
        Fault::EmptyLogs,
        Fault::RepeatedLog,
        Fault::RepeatedIndex,
        Fault::LogOfOtherBlock,
        Fault::LogOfOtherContract,
        Fault::Disorder,
        Fault::RemovedLog,
        Fault::PendingLog,
        Fault::HiddenLog,
        Fault::InventedLog,
    ] {
        node.with(|reins| {
            reins.weather = Weather {
                per_mille: 1_000,
                left: 1,
                faults: vec![fault],
            };
        });
        let number = ask(&node.url, "eth_blockNumber", json!([])).await.unwrap();
        assert_eq!(number["result"], "0x28", "{fault:?} is no lie about that");
        let lie = ask(&node.url, "eth_getLogs", filter.clone()).await.unwrap();
        assert_ne!(lie, honest, "{fault:?}");
        let truth = ask(&node.url, "eth_getLogs", filter.clone()).await.unwrap();
        assert_eq!(truth, honest, "{fault:?}");
    }
}

#[tokio::test]
async fn a_process_is_killed_at_the_counted_request() {
    let node = node(vec![Replica::default()]).await;
    let mut process = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    node.fuse().light(Moment::Request, 3, process.id());
    for request in 1..=3 {
        assert_eq!(
            process.try_wait().unwrap(),
            None,
            "before request {request}"
        );
        drop(ask(&node.url, "eth_chainId", json!([])).await);
    }
    assert!(!process.wait().unwrap().success());
}

#[tokio::test]
async fn a_gate_refuses_cuts_and_loses_and_then_passes() {
    // A server that counts whole requests stands in for ClickHouse.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let (count, counted) = watch::channel(0_u32);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Ok(Some(Request { .. })) = wire::read(&mut stream).await {
                    count.send_modify(|count| *count += 1);
                    let reply = Delivery::Whole(Reply::json(200, b"Ok.".to_vec()));
                    drop(wire::deliver(&mut stream, reply).await);
                }
            });
        }
    });
    let gate = Gate::start(url, Fuse::default()).await;
    gate.make(Trouble {
        refuse: 1,
        cut: 1,
        lose: 1,
    });
    let insert = async || {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = gate.url.join("?query=INSERT+INTO+t").unwrap();
        http.post(url).body("rows and rows").send().await.is_ok()
    };
    let outcomes = [
        insert().await,
        insert().await,
        insert().await,
        insert().await,
    ];
    assert_eq!(outcomes, [false, false, false, true]);
    // The lost one arrived, and the last.
    assert_eq!(*counted.borrow(), 2);
}
