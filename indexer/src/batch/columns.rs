//! Transfers as columns, the way ClickHouse keeps them. Pure.
//!
//! Its `Native` format: for each column its name, its type and its values one after the other, lowest byte first. Sent
//! so, rows are stored without being parsed one by one: a fifth of ClickHouse's work for a batch, and a good part of
//! ours. Written here rather than by the client's own builder, which looks at each of fifteen million values apart.
//! Types are the tables' own, or the plain integers that they are cast from.

use bytes::{BufMut, Bytes, BytesMut};
use x402_schemas::index::TransferRow;

/// Columns of a transfer.
const COLUMNS: usize = 15;

/// A row's values.
const ROW_BYTES: usize = 256;

/// Room for the names of columns and types.
const NAMES_BYTES: usize = 512;

/// Some rows in all columns but the two last ones, which their batch decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    rows: usize,
    block: Block,
}

impl Columns {
    /// The columns of these rows, of whatever batch they are.
    pub fn of(rows: &[TransferRow]) -> Self {
        let bytes = rows.len().saturating_mul(ROW_BYTES);
        let mut block = Block::with_capacity(bytes.saturating_add(NAMES_BYTES));
        block.length(COLUMNS);
        block.length(rows.len());
        let mut column = Column {
            block: &mut block,
            rows,
        };
        column.add("chain_id", "UInt64", |row| row.chain_id.to_le_bytes());
        column.add("block_number", "UInt64", |row| {
            row.block_number.to_le_bytes()
        });
        column.add("log_index", "UInt32", |row| row.log_index.to_le_bytes());
        column.add("block_hash", "FixedString(32)", |row| row.block_hash);
        column.add("block_time", "UInt32", |row| row.block_time.to_le_bytes());
        column.add("tx_hash", "FixedString(32)", |row| row.tx_hash);
        column.add("tx_index", "UInt32", |row| row.tx_index.to_le_bytes());
        column.add("token", "FixedString(20)", |row| row.token);
        column.add("sender", "FixedString(20)", |row| row.sender);
        column.add("recipient", "FixedString(20)", |row| row.recipient);
        column.add("amount", "UInt256", |row| row.amount.to_le_bytes());
        column.add("memo", "FixedString(32)", |row| row.memo);
        column.add("kind", "Int8", |row| row.kind.to_le_bytes());
        Self {
            rows: rows.len(),
            block,
        }
    }

    /// How many rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// All columns, of rows of batch `version` that stand or, if `is_deleted`, are tombstones. In one piece: of two, the
    /// network would hold the second back until the first has arrived.
    pub fn stamped(self, version: u64, is_deleted: bool) -> Bytes {
        let Self { rows, mut block } = self;
        block.column("version", "UInt64");
        for _ in 0..rows {
            block.0.put_u64_le(version);
        }
        block.column("is_deleted", "UInt8");
        block.0.put_bytes(u8::from(is_deleted), rows);
        block.0.freeze()
    }
}

struct Column<'a> {
    block: &'a mut Block,
    rows: &'a [TransferRow],
}

impl Column<'_> {
    fn add<const N: usize>(
        &mut self,
        name: &str,
        kind: &str,
        value: impl Fn(&TransferRow) -> [u8; N],
    ) {
        self.block.column(name, kind);
        for row in self.rows {
            self.block.0.put_slice(&value(row));
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Block(BytesMut);

impl Block {
    fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    fn column(&mut self, name: &str, kind: &str) {
        for text in [name, kind] {
            self.length(text.len());
            self.0.put_slice(text.as_bytes());
        }
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn length(&mut self, mut length: usize) {
        loop {
            let [low, ..] = length.to_le_bytes();
            length >>= 7;
            if length == 0 {
                return self.0.put_u8(low & 0x7f);
            }
            self.0.put_u8(low | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use clickhouse::{Row, types::UInt256};

    use super::*;

    fn row(log_index: u32) -> TransferRow {
        TransferRow {
            chain_id: 1,
            block_number: 2,
            log_index,
            block_hash: [3; 32],
            block_time: 4,
            tx_hash: [5; 32],
            tx_index: 6,
            token: [7; 20],
            sender: [8; 20],
            recipient: [9; 20],
            amount: UInt256::from_le_bytes([10; 32]),
            memo: [11; 32],
            kind: 1,
            version: 12,
            is_deleted: 0,
        }
    }

    #[test]
    fn every_column_of_a_row_is_sent_in_the_tables_order() {
        let block = Columns::of(&[row(0), row(1)]).stamped(7, false);
        let mut names = block.as_ref();
        let positions = TransferRow::COLUMN_NAMES.iter().map(|name| {
            let at = names
                .windows(name.len())
                .position(|it| it == name.as_bytes())?;
            names = &names[at + name.len()..];
            Some(())
        });
        assert_eq!(positions.flatten().count(), COLUMNS);
        assert_eq!(TransferRow::COLUMN_NAMES.len(), COLUMNS);
    }

    #[test]
    fn a_block_begins_with_the_numbers_of_columns_and_rows() {
        let rows: Vec<_> = (0..300).map(row).collect();
        let block = Columns::of(&rows).stamped(7, false);
        assert_eq!(block[..4], [15, 0xac, 0x02, 8]);
        assert_eq!(block[4..12], *b"chain_id");
        assert_eq!(block[12..20], *b"\x06UInt64\x01");
    }

    #[test]
    fn the_batch_decides_version_and_whether_the_rows_stand() {
        let columns = Columns::of(&[row(0), row(1)]);
        let ends =
            |block: Bytes, end: &[u8]| block.ends_with(&[end, b"\x0ais_deleted\x05UInt8"].concat());
        let standing = columns.clone().stamped(7, false);
        assert_eq!(standing[standing.len() - 2..], [0, 0]);
        assert!(ends(
            standing.slice(..standing.len() - 2),
            &7_u64.to_le_bytes()
        ));
        let tombstones = columns.stamped(8, true);
        assert_eq!(tombstones[tombstones.len() - 2..], [1, 1]);
        assert!(ends(
            tombstones.slice(..tombstones.len() - 2),
            &8_u64.to_le_bytes()
        ));
    }

    #[test]
    fn memory_is_taken_once() {
        let rows = vec![row(0); 100];
        let columns = Columns::of(&rows);
        let (at, room) = (columns.block.0.as_ptr(), columns.block.0.capacity());
        let block = columns.stamped(1, false);
        assert!(block.len() <= room);
        assert_eq!(block.as_ptr(), at);
    }
}
