//! The user for Grafana and analysts, as its file makes it on a ClickHouse of its own.

use std::fs;

use alloy::primitives::hex;
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Url;
use x402::local::clickhouse::{ClickHouse, ClickHouseOptions};
use x402_schemas::index::migrate;
use x402_tests::shared::{run, shared};

use crate::EXE;

const FILE: &str = include_str!("../../../../schemas/reader.xml");
const STATEMENTS: &str = include_str!("../../../../schemas/reader.sql");
const PASSWORD: &str = "of the reader";

/// The answer to a query of the reader's.
async fn ask(url: &Url, sql: &str) -> Result<String, String> {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("database", "x402");
    let request = reqwest::Client::new().post(url);
    let request = request.basic_auth("x402_reader", Some(PASSWORD));
    let answer = request.body(sql.to_owned()).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    if status == 200 { Ok(text) } else { Err(text) }
}

#[test]
fn the_reader_reads_the_index_within_limits_and_changes_nothing() {
    run(async {
        let shared = shared(EXE).await;
        let folder = tempfile::tempdir().unwrap();
        let options = ClickHouseOptions {
            folder: folder.path().join("clickhouse"),
            http_port: None,
        };
        let hash = hex::encode(digest(&SHA256, PASSWORD.as_bytes()));
        let users = options.folder.join("users.d");
        fs::create_dir_all(&users).unwrap();
        fs::write(
            users.join("reader.xml"),
            FILE.replace("SHA-256 OF THE PASSWORD", &hash),
        )
        .unwrap();
        let clickhouse = ClickHouse::start(&shared.launcher, &shared.tools.clickhouse, &options)
            .await
            .unwrap();
        let url = &clickhouse.url;
        let operator = clickhouse::Client::default().with_url(url.as_str());
        migrate(&operator, "x402").await.unwrap();
        for sql in [
            "CREATE DATABASE other",
            "CREATE TABLE other.secrets (a UInt8) ENGINE = Memory",
        ] {
            operator.query(sql).execute().await.unwrap();
        }

        for view in [
            "payments",
            "spend",
            "spend_daily",
            "reconciliation",
            "accounts",
        ] {
            let count = ask(url, &format!("SELECT count() FROM {view}")).await;
            assert_eq!(count, Ok("0\n".to_owned()), "{view}");
        }
        let longer = ask(url, "SELECT 1 SETTINGS max_execution_time = 60").await;
        assert_eq!(longer, Ok("1\n".to_owned()), "as Grafana asks");
        for (sql, refusal) in [
            (
                "SELECT 1 SETTINGS max_execution_time = 61",
                "SETTING_CONSTRAINT_VIOLATION",
            ),
            ("SELECT 1 SETTINGS max_result_rows = 0", "READONLY"),
            (
                "SELECT * FROM numbers(1500000) FORMAT Null",
                "TOO_MANY_ROWS",
            ),
            ("SELECT * FROM other.secrets", "ACCESS_DENIED"),
            ("INSERT INTO commits SELECT * FROM commits", "ACCESS_DENIED"),
            ("TRUNCATE TABLE transfers", "ACCESS_DENIED"),
            (
                "CREATE TABLE mine (a UInt8) ENGINE = Memory",
                "ACCESS_DENIED",
            ),
            (
                "SELECT * FROM file('/etc/passwd', 'LineAsString')",
                "ACCESS_DENIED",
            ),
            (
                "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
                "ACCESS_DENIED",
            ),
        ] {
            let answer = ask(url, sql).await;
            assert!(
                answer.as_ref().is_err_and(|text| text.contains(refusal)),
                "{sql}: {answer:?}"
            );
        }
        // Only their grammar: this ClickHouse keeps its users in files.
        for statement in STATEMENTS
            .split(";\n")
            .filter(|text| !text.trim().is_empty())
        {
            let parsed = ask(url, &format!("EXPLAIN AST {statement}")).await;
            assert!(parsed.is_ok(), "{statement}: {parsed:?}");
        }
        clickhouse.stop().await.unwrap();
    });
}
