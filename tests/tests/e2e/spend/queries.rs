//! The example queries and exports, on what a world has really spent.

use clickhouse::Client;
use serde_json::{Value, json};
use x402_tests::{
    shared::run,
    world::{World, eventually},
};

use super::spent_world;

macro_rules! query {
    ($name:literal) => {
        include_str!(concat!("../../../../schemas/queries/", $name, ".sql"))
    };
}

/// The rows of an answer, by the names of their columns; numbers that JSON cannot hold are text.
async fn rows(clickhouse: &Client, sql: &str) -> Vec<Value> {
    let mut cursor = clickhouse
        .query(sql)
        .with_setting("output_format_json_quote_decimals", "1")
        .with_setting("output_format_json_quote_64bit_integers", "1")
        .fetch_bytes("JSONEachRow")
        .unwrap();
    let bytes = cursor.collect().await.unwrap();
    let lines = std::str::from_utf8(&bytes).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// One column of the only row.
async fn only(clickhouse: &Client, sql: &str, columns: &[&str]) -> Vec<Value> {
    let rows = rows(clickhouse, sql).await;
    assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
    columns.iter().map(|name| rows[0][name].clone()).collect()
}

#[test]
fn the_example_queries_say_what_the_chain_and_the_ledger_say() {
    run(async {
        let world = spent_world("queries").await;
        let clickhouse = world.clickhouse();
        leave_unsettled(&world).await;

        let by_agent = only(
            &clickhouse,
            query!("01_spend_by_agent"),
            &["payments", "mnee"],
        );
        assert_eq!(by_agent.await, [json!("3"), json!("0.15")]);
        let columns = ["mnee", "mnee_before", "payments"];
        let before = only(&clickhouse, query!("02_against_the_month_before"), &columns);
        assert_eq!(before.await, [json!("0.15"), json!("0"), json!("3")]);
        let columns = ["budget", "spent", "left"];
        let budget = only(&clickhouse, query!("03_budget_burn_down"), &columns);
        assert_eq!(
            budget.await,
            [json!("1000"), json!("0.15"), json!("999.85")]
        );
        let denials = only(
            &clickhouse,
            query!("04_denials"),
            &["code", "denials", "mnee"],
        );
        assert_eq!(
            denials.await,
            [json!("AGENT_REQUEST_LIMIT"), json!("1"), json!("11")]
        );
        let columns = ["calls", "first_price", "last_price", "prices"];
        let prices = only(&clickhouse, query!("05_price_changes"), &columns);
        assert_eq!(
            prices.await,
            [json!("3"), json!("0.05"), json!("0.05"), json!("1")]
        );
        let steps = rows(&clickhouse, query!("06_step_latency")).await;
        let took = |step: &str| {
            let row = steps.iter().find(|row| row["step"] == step);
            row.unwrap_or_else(|| panic!("{steps:?}"))["payments"].clone()
        };
        // The one that waits for a block has taken the first four.
        assert_eq!((took("send"), took("index")), (json!("4"), json!("3")));
        assert_eq!(took("become final"), json!("3"));
        let columns = ["provider_id", "payments", "mnee"];
        let new = only(&clickhouse, query!("07_new_providers"), &columns);
        assert_eq!(
            new.await,
            [json!(world.provider_id), json!("3"), json!("0.15")]
        );
        let unsettled = only(&clickhouse, query!("08_unsettled"), &["status", "mnee"]);
        assert_eq!(unsettled.await, [json!("broadcast"), json!("0.05")]);
        let runway = only(
            &clickhouse,
            query!("09_treasury_runway"),
            &["balance", "treasury"],
        );
        let treasury = world.treasury.address();
        assert_eq!(
            runway.await,
            [json!("999.85"), json!(format!("{treasury:#x}"))]
        );

        let statement = rows(&clickhouse, query!("10_statement")).await;
        let paid: Vec<&str> = statement
            .iter()
            .map(|row| row["mnee"].as_str().unwrap())
            .collect();
        assert_eq!(paid, ["0.05"; 3]);
        world.stop().await;
    });
}

/// A payment that no block takes.
async fn leave_unsettled(world: &World) {
    let rpc = world.chain().rpc();
    let call = alloy::providers::Provider::raw_request(&rpc, "evm_setAutomine".into(), (false,));
    let _: () = call.await.unwrap();
    let (_, quote) = world.quote("inv_waits", json!({})).await;
    let pay = json!({ "quoteId": quote["quoteId"], "waitMs": 0 });
    assert_eq!(world.agent_post("pay", &pay).await.0, 202);
    let clickhouse = world.clickhouse();
    eventually("it is broadcast", async || {
        let query = "SELECT count() FROM open_payments WHERE status = 'broadcast'";
        clickhouse.query(query).fetch_one::<u64>().await.unwrap() == 1
    })
    .await;
}

#[test]
fn spend_is_exported_exactly_as_csv_and_as_parquet() {
    run(async {
        let world = spent_world("exports").await;
        let client = reqwest::Client::new();
        let ask = async |sql: &str, rows: Vec<u8>| {
            let mut url = world.options.clickhouse_url.clone();
            url.query_pairs_mut()
                .append_pair("database", &world.options.database);
            let body = [
                sql.as_bytes(),
                b"
",
                &rows,
            ]
            .concat();
            let answer = client.post(url).body(body).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{sql}");
            answer.bytes().await.unwrap().to_vec()
        };
        let columns =
            "payment_id, paid_at, toString(amount) AS base_units FROM spend ORDER BY payment_id";
        let csv = ask(&format!("SELECT {columns} FORMAT CSVWithNames"), Vec::new()).await;
        let csv = String::from_utf8(csv).unwrap();
        let amounts: Vec<&str> = csv
            .lines()
            .skip(1)
            .map(|line| line.rsplit(',').next().unwrap())
            .collect();
        assert_eq!(amounts, ["\"50000000000000000\""; 3], "{csv}");

        let parquet = ask(&format!("SELECT {columns} FORMAT Parquet"), Vec::new()).await;
        assert!(parquet.starts_with(b"PAR1"));
        let like = "CREATE TABLE read (payment_id String, paid_at DateTime('UTC'), base_units String) ENGINE = Memory";
        ask(like, Vec::new()).await;
        ask("INSERT INTO read FORMAT Parquet", parquet).await;
        let back = ask(
            "SELECT * FROM read ORDER BY payment_id FORMAT CSVWithNames",
            Vec::new(),
        )
        .await;
        assert_eq!(String::from_utf8(back).unwrap(), csv);
        world.stop().await;
    });
}
