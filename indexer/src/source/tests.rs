use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

mod node;

use node::{Does, Node, hash, honest, log};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    indexer: IndexerConfig,
}

fn source(urls: &[&str], flags: &[&str]) -> Source {
    let words = ["x402", "--rpc-url"].into_iter().map(str::to_owned);
    let words = words.chain([urls.join(",")]);
    let words = words.chain(flags.iter().map(|flag| (*flag).to_owned()));
    let config = Command::parse_from(words).indexer;
    let metrics = Metrics::register(&Registry::new()).unwrap();
    Source::new(&config, Arc::new(metrics))
}

fn failovers(source: &Source) -> u64 {
    source.endpoints.metrics.failovers_total.get()
}

fn contradictions(source: &Source) -> u64 {
    source.endpoints.metrics.contradictions_total.get()
}

#[tokio::test]
async fn the_next_endpoint_takes_over_and_the_first_rests() {
    let node = Node::start(honest(9)).await;
    // Port 1 refuses connections.
    let source = source(&["http://127.0.0.1:1", &node.url], &[]);
    assert_eq!(source.head().await.unwrap().header.number, 9);
    assert_eq!(failovers(&source), 1);
    assert_eq!(source.block(9).await.unwrap().header.hash, hash(9));
    assert_eq!(failovers(&source), 1);
}

#[tokio::test]
async fn a_lagging_endpoint_is_not_asked_for_what_it_cannot_know() {
    let (behind, ahead) = (Node::start(honest(5)).await, Node::start(honest(9)).await);
    let source = source(&[&behind.url, &ahead.url], &[]);
    assert_eq!(source.block(9).await.unwrap().header.number, 9);
    let range = source.range(1, 9).await.unwrap();
    assert_eq!((range.logs.len(), range.end.number), (9, 9));
    assert_eq!(behind.asked(r#"eth_getBlockByNumber "0x9""#), 0);
    assert_eq!(behind.asked("eth_getLogs"), 0);
    assert_eq!(source.block(5).await.unwrap().header.number, 5);
    // Nobody is blamed for being behind.
    assert_eq!(contradictions(&source), 0);
    assert!(matches!(
        source.block(10).await,
        Err(SourceError::UnknownBlock(_))
    ));
}

#[tokio::test]
async fn a_block_that_one_endpoint_does_not_know_is_asked_of_the_next() {
    let forgetful = Node::start(|method, params| match params[0].as_str() {
        Some("0x9") => Does::Result(Value::Null),
        _ => honest(9)(method, params),
    })
    .await;
    let node = Node::start(honest(9)).await;
    let both = source(&[&forgetful.url, &node.url], &[]);
    assert_eq!(both.block(9).await.unwrap().header.number, 9);
    assert_eq!((failovers(&both), contradictions(&both)), (1, 1));
    let alone = source(&[&forgetful.url], &[]);
    assert!(matches!(
        alone.block(9).await,
        Err(SourceError::UnknownBlock(_))
    ));
}

#[tokio::test]
async fn a_contradiction_is_not_believed_while_another_endpoint_is_consistent() {
    let liar = Node::start(|method, params| match method {
        "eth_getLogs" => Does::Result(json!([log(3, 1), log(3, 1)])),
        _ => honest(9)(method, params),
    })
    .await;
    let node = Node::start(honest(9)).await;
    let both = source(&[&liar.url, &node.url], &[]);
    assert_eq!(both.range(1, 5).await.unwrap().logs.len(), 5);
    assert_eq!((failovers(&both), contradictions(&both)), (1, 1));
    let alone = source(&[&liar.url], &[]);
    assert!(matches!(
        alone.range(1, 5).await,
        Err(SourceError::Inconsistent(_))
    ));
}

#[tokio::test]
async fn no_logs_under_a_positive_bloom_is_asked_of_the_next_endpoint() {
    let hider = Node::start(|method, params| match method {
        "eth_getLogs" => Does::Result(json!([])),
        _ => honest(9)(method, params),
    })
    .await;
    let node = Node::start(|method, params| match method {
        "eth_getLogs" => Does::Result(json!([log(9, 0)])),
        _ => honest(9)(method, params),
    })
    .await;
    let source = source(&[&hider.url, &node.url], &[]);
    let head = source.head().await.unwrap();
    assert_eq!(head.endpoint, 0);
    assert_eq!(source.logs_of_block(&head).await.unwrap().len(), 1);
    assert_eq!(hider.asked("eth_getLogs"), 1);
    assert_eq!(contradictions(&source), 1);
}

#[tokio::test]
async fn a_node_that_asks_for_a_pause_gets_it() {
    let asked = AtomicUsize::new(0);
    let busy = Node::start(move |method, params| {
        if method == "eth_getBlockByNumber" && asked.fetch_add(1, Ordering::Relaxed) == 0 {
            return Does::Http(429, "retry-after: 1\r\n", String::new());
        }
        honest(9)(method, params)
    })
    .await;
    let source = source(&[&busy.url], &[]);
    let began = Instant::now();
    assert_eq!(source.head().await.unwrap().header.number, 9);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(busy.asked("eth_getBlockByNumber"), 2);
}

#[tokio::test]
async fn a_node_that_is_always_busy_is_left_alone_and_then_reported() {
    let busy = Node::start(|_, _| Does::Error(-32_005, "request rate limited")).await;
    let node = Node::start(honest(9)).await;
    let both = source(&[&busy.url, &node.url], &[]);
    for _ in 0..20 {
        both.head().await.unwrap();
    }
    assert!(busy.asked("eth") < 10, "{}", busy.asked("eth"));
    let alone = source(&[&busy.url], &[]);
    assert!(matches!(
        alone.head().await,
        Err(SourceError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let broken =
        Node::start(
            move |method, params| match (method, asked.fetch_add(1, Ordering::Relaxed)) {
                (_, 1) => Does::BreaksOff,
                (_, 2) => Does::Http(200, "connection: close\r\n", r#"{"id":0,"res"#.to_owned()),
                _ => honest(9)(method, params),
            },
        )
        .await;
    let source = source(&[&broken.url], &[]);
    assert_eq!(source.range(1, 9).await.unwrap().logs.len(), 9);
}

#[tokio::test]
async fn a_reply_longer_than_the_limit_is_not_read() {
    for headers in ["", "connection: close\r\n"] {
        let node = Node::start(move |method, params| match method {
            "eth_getLogs" => Does::Http(200, headers, " ".repeat(70_000)),
            _ => honest(9)(method, params),
        })
        .await;
        let source = source(&[&node.url], &["--rpc-max-reply-bytes", "65536"]);
        assert!(matches!(
            source.range(1, 9).await,
            Err(SourceError::RangeRefused { fits: None, .. })
        ));
        assert_eq!(node.asked("eth_getLogs"), 1);
    }
}

#[tokio::test]
async fn behind_a_balancer_the_logs_of_a_range_come_from_a_node_that_knows_its_end() {
    // Each batch meets the next of two nodes, as a whole; one of them has stopped long before the range.
    let (ahead, behind) = (honest(20), honest(3));
    let turn = AtomicUsize::new(0);
    let balancer = Node::start(move |method, params| {
        let turn = turn.fetch_add(usize::from(method == "batch"), Ordering::Relaxed);
        if turn.is_multiple_of(2) || params[0] == "latest" {
            ahead(method, params)
        } else {
            behind(method, params)
        }
    })
    .await;
    let source = source(&[&balancer.url], &[]);
    let mut whole = 0;
    for _ in 0..4 {
        match source.range(5, 9).await {
            Ok(range) => whole += range.logs.len(),
            Err(error) => assert!(matches!(error, SourceError::UnknownBlock(_)), "{error}"),
        }
    }
    assert_eq!(whole, 2 * 5);
}

#[tokio::test]
async fn a_range_is_read_of_a_node_to_which_it_is_final() {
    let on_a_dead_branch = Node::start(|method, params| match params[0].as_str() {
        Some("finalized") => honest(6)(method, params),
        _ => honest(20)(method, params),
    });
    let knows_no_finality = |head| {
        Node::start(move |method, params| match params[0].as_str() {
            Some("finalized") => Does::Error(-39_001, "unknown block"),
            _ => honest(head)(method, params),
        })
    };
    let dead = on_a_dead_branch.await;
    let (young, old) = (knows_no_finality(72).await, knows_no_finality(73).await);
    for node in [&dead, &young] {
        let alone = source(&[&node.url], &[]).range(5, 9).await;
        assert!(
            matches!(alone, Err(SourceError::UnknownBlock(_))),
            "{alone:?}"
        );
    }
    let all = source(&[&dead.url, &young.url, &old.url], &[]);
    assert_eq!(all.range(5, 9).await.unwrap().logs.len(), 5);
}

#[tokio::test]
async fn a_node_in_trouble_is_not_taken_for_one_that_knows_no_finality() {
    let asks = AtomicUsize::new(0);
    let troubled = Node::start(move |method, params| match params[0].as_str() {
        Some("finalized") => match asks.fetch_add(1, Ordering::Relaxed) {
            0 => Does::Error(-32_603, "Internal error"),
            1 | 2 => Does::Result(Value::Null),
            _ => honest(70)(method, params),
        },
        _ => honest(100)(method, params),
    })
    .await;
    let source = source(&[&troubled.url], &[]);
    assert!(source.finalized(100).await.is_err());
    assert_eq!(source.finalized(100).await.unwrap(), 70);
}

#[tokio::test]
async fn a_refused_range_carries_the_providers_hint() {
    const WORDS: &str =
        r#"{"id":0,"error":{"code":-32602,"message":"query exceeds max block range 5"}}"#;
    let node = Node::start(|method, params| match method {
        "eth_getLogs" => Does::Http(400, "", WORDS.to_owned()),
        _ => honest(9)(method, params),
    })
    .await;
    let source = source(&[&node.url], &[]);
    assert!(matches!(
        source.range(1, 9).await,
        Err(SourceError::RangeRefused { fits: Some(5), .. })
    ));
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_in_time_is_passed_over() {
    let silent = Node::start(|_, _| Does::Waits).await;
    let node = Node::start(honest(9)).await;
    let source = source(&[&silent.url, &node.url], &["--rpc-timeout-ms", "100"]);
    assert_eq!(source.range(1, 9).await.unwrap().logs.len(), 9);
    assert_eq!(failovers(&source), 1);
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_refused_by_name() {
    let other = Node::start(|_, _| Does::Result(json!("0x5"))).await;
    let node = Node::start(honest(9)).await;
    let source = source(&[&node.url, &other.url], &[]);
    let error = source.network().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "endpoint 1 (127.0.0.1) is on chain 5 and not on 1; check --rpc-url"
    );
    assert_eq!(source.head().await.unwrap().endpoint, 0);
}

#[tokio::test]
async fn transactions_are_asked_for_in_batches_where_the_provider_takes_them() {
    let transactions = [hash(1), hash(2), hash(3)];
    let node = Node::start(honest(9)).await;
    let calls = source(&[&node.url], &[])
        .calls(1, hash(1), &transactions)
        .await;
    assert_eq!(calls.unwrap().len(), 3);
    assert_eq!(node.asked("batch of 3"), 1);

    let single = Node::start(|method, params| match method {
        "batch" => Does::Error(-32_600, "batch requests are not supported"),
        _ => honest(9)(method, params),
    })
    .await;
    let source = source(&[&single.url], &[]);
    for _ in 0..2 {
        let calls = source.calls(1, hash(1), &transactions).await.unwrap();
        assert_eq!(calls.get(&hash(2)).unwrap().input.as_ref(), [1, 2]);
    }
    assert_eq!(single.asked("batch"), 1);
    assert_eq!(single.asked("eth_getTransactionByHash"), 6);
    assert!(matches!(
        source.calls(2, hash(2), &transactions).await,
        Err(SourceError::Inconsistent(_))
    ));
}

#[tokio::test]
async fn a_node_without_finality_is_final_64_blocks_below() {
    let node = Node::start(|method, params| match params[0].as_str() {
        Some("finalized") => Does::Error(-32_602, "invalid block tag"),
        _ => honest(100)(method, params),
    })
    .await;
    let source = source(&[&node.url], &[]);
    assert_eq!(source.finalized(100).await.unwrap(), 36);
}

#[tokio::test]
async fn requests_keep_to_the_rate() {
    let node = Node::start(honest(9)).await;
    let source = source(&[&node.url], &["--rpc-rate", "10"]);
    let began = Instant::now();
    // One for the chain, fourteen for the heads; ten are free.
    for _ in 0..14 {
        source.head().await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn a_failure_never_tells_the_key_in_the_url() {
    let url = "http://user:hunter2@127.0.0.1:1/v2/key-123?apikey=456";
    let error = source(&[url], &[]).head().await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }));
    let told = format!("{} {error:?}", told(&error));
    for secret in ["hunter2", "key-123", "456"] {
        assert!(!told.contains(secret), "{told}");
    }
}
