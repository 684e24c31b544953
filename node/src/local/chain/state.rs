//! The chain's state file, made fit to go on from.
//!
//! The chain node rewrites the file in place each second and once more when it is told to end, be it before it has
//! read the old one; so a copy of the last good form is kept, and a file that is cut short or of a shorter chain gives
//! way to it. The node also adds a genesis block of its own at every start and later takes any of them for block 0; only
//! the one that block 1 descends from stays.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write},
    path::Path,
};

use alloy::{
    consensus::Header,
    primitives::{B256, U64},
};
use serde_json::Value;

/// Makes the file at `path` the best state there is, and copies it for the next start.
pub(super) fn recover(path: &Path) -> io::Result<()> {
    let copy = path.with_extension("copy.json");
    let best = [read(path), read(&copy)]
        .into_iter()
        .flatten()
        .max_by_key(|(height, _)| *height);
    let Some((_, mut state)) = best else {
        // Nothing to go on from; what cannot be read is only in the way.
        return if path.exists() {
            fs::remove_file(path)
        } else {
            Ok(())
        };
    };
    drop_foreign_genesis(&mut state);
    write(&state, path)?;
    write(&state, &copy)
}

/// A state file that is whole, with the number of its newest block.
fn read(path: &Path) -> Option<(U64, Value)> {
    let file = File::open(path).ok()?;
    let state: Value = serde_json::from_reader(BufReader::new(file)).ok()?;
    let height = serde_json::from_value(state.get("best_block_number")?.clone()).ok()?;
    Some((height, state))
}

/// Removes every block 0 that block 1 does not descend from.
fn drop_foreign_genesis(state: &mut Value) {
    let Some(blocks) = state.get_mut("blocks").and_then(Value::as_array_mut) else {
        return;
    };
    let first = blocks
        .iter()
        .filter_map(header)
        .find(|header| header.number == 1);
    let Some(genesis) = first.map(|header| header.parent_hash) else {
        return;
    };
    blocks.retain(|block| {
        header(block).is_none_or(|header| header.number != 0 || hash(&header) == genesis)
    });
}

fn header(block: &Value) -> Option<Header> {
    serde_json::from_value(block.get("header")?.clone()).ok()
}

fn hash(header: &Header) -> B256 {
    header.hash_slow()
}

/// Replaces a file that is at no moment half written.
fn write(state: &Value, path: &Path) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = BufWriter::new(File::create(&unfinished)?);
    serde_json::to_writer(&mut file, state)?;
    file.flush()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(height: u64) -> Value {
        json!({ "best_block_number": U64::from(height), "blocks": [] })
    }

    fn recovered(last: &str, saved: &str) -> [Option<U64>; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let copy = path.with_extension("copy.json");
        for (path, text) in [(&path, last), (&copy, saved)] {
            if !text.is_empty() {
                fs::write(path, text).unwrap();
            }
        }
        recover(&path).unwrap();
        [read(&path), read(&copy)].map(|state| state.map(|(height, _)| height))
    }

    #[test]
    fn a_state_that_was_cut_short_or_begun_anew_gives_way_to_its_copy() {
        let (nine, two) = (state(9).to_string(), state(2).to_string());
        let both = |number: u64| [Some(U64::from(number)); 2];
        assert_eq!(recovered("", ""), [None; 2]);
        assert_eq!(recovered(&nine, ""), both(9));
        assert_eq!(recovered(&nine, &two), both(9));
        assert_eq!(recovered(&two, &nine), both(9));
        assert_eq!(recovered(&nine[..20], &nine), both(9));
        assert_eq!(recovered("", &two), both(2));
        assert_eq!(recovered(&nine[..20], ""), [None; 2]);
    }

    #[test]
    fn only_the_genesis_that_the_chain_descends_from_stays() {
        let ours = Header {
            timestamp: 7,
            ..Header::default()
        };
        let foreign = Header {
            timestamp: 8,
            ..Header::default()
        };
        let first = Header {
            number: 1,
            parent_hash: ours.hash_slow(),
            ..Header::default()
        };
        let block = |header: &Header| json!({ "header": header });
        let mut state = state(1);
        state["blocks"] = json!([block(&foreign), block(&first), block(&ours)]);
        drop_foreign_genesis(&mut state);
        assert_eq!(state["blocks"], json!([block(&first), block(&ours)]));
    }
}
