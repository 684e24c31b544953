//! Rows into ClickHouse: on disk when they are acknowledged, in time or not at all.

use std::time::Duration;

use clickhouse::{Client, RowOwned, RowWrite, error::Error};

/// The longest wait for ClickHouse to acknowledge an insert.
const INSERT_TIMEOUT: Duration = Duration::from_secs(30);

/// The client with which the gateway writes.
pub(crate) fn writer(client: Client) -> Client {
    client
        // What is inserted is on disk when it is acknowledged: nothing waits to be flushed together.
        .with_setting("async_insert", "0")
        .with_setting("insert_deduplicate", "1")
}

/// One insert. Of those with the same `token` the first counts, where the table remembers tokens.
pub(crate) async fn insert<R: RowOwned + RowWrite>(
    client: &Client,
    table: &str,
    rows: &[R],
    token: Option<&str>,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let insert = async {
        let mut client = client.clone();
        if let Some(token) = token {
            client = client.with_setting("insert_deduplication_token", token);
        }
        let mut insert = client.insert::<R>(table).await?;
        for row in rows {
            insert.write(row).await?;
        }
        insert.end().await
    };
    tokio::time::timeout(INSERT_TIMEOUT, insert)
        .await
        .unwrap_or(Err(Error::TimedOut))
}
