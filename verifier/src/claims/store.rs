//! The files of the claims: a log-structured store, so that a claim costs an entry of a log and not
//! a page of a tree.
//!
//! A commit is one entry of the journal and is synced before it returns; one that was cut off is
//! left out as a whole when the store is opened again. Nothing here decides anything.

use std::path::Path;

use alloy_primitives::B256;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use x402_schemas::{api::revocations::Revocation, network::Network, transfer::TransferId};

use super::{Claim, ClaimError, OpenError, Unsettled};

/// The folder within the data folder.
const FOLDER: &str = "claims";

/// Memory for blocks that were read from files.
const BLOCK_CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Memory of a table before it is written to a file.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;

/// The journal's length on disk before old parts must have gone to files.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;

/// Threads that write files and merge them: a merge must not keep a full table waiting.
const WORKERS: usize = 2;

const LAST_REVOCATION: &str = "last_revocation";
const KEY_LEN: usize = 44;
const NUMBER_LEN: usize = 8;

/// The open files; cheap to clone.
#[derive(Clone)]
pub(super) struct Store {
    database: Database,
    claims: Keyspace,
    unsettled: Keyspace,
    revoked: Keyspace,
    revocations: Keyspace,
    numbers: Keyspace,
    #[cfg(test)]
    disk: std::sync::Arc<Disk>,
}

/// A transfer as a key: equal order, equal identity.
pub(super) type Key = [u8; KEY_LEN];

/// Changes that are committed together.
pub(super) struct Batch<'a> {
    store: &'a Store,
    writes: fjall::OwnedWriteBatch,
}

/// What tests do to the disk: hold it to keep commits waiting, set it to fail the next one.
#[cfg(test)]
pub(crate) type Disk = std::sync::Mutex<bool>;

impl Store {
    /// Opens the files, creating what is missing.
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        let database = Database::builder(folder.join(FOLDER))
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .open()
            .map_err(OpenError::Files)?;
        let table = |name: &str| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
            database.keyspace(name, options).map_err(OpenError::Files)
        };
        Ok(Self {
            claims: table("claims")?,
            unsettled: table("unsettled")?,
            revoked: table("revoked")?,
            revocations: table("revocations")?,
            numbers: table("numbers")?,
            database,
            #[cfg(test)]
            disk: std::sync::Arc::default(),
        })
    }

    /// The claim that stands on a transfer.
    pub(super) fn find(&self, id: TransferId) -> Result<Option<Claim>, ClaimError> {
        let row = self.claims.get(key(id))?;
        row.map(|row| serde_json::from_slice(&row).map_err(|_| ClaimError::Unreadable))
            .transpose()
    }

    /// Whether the transfer's claimer was last told that it is gone.
    pub(super) fn is_revoked(&self, id: TransferId) -> Result<bool, ClaimError> {
        Ok(self.revoked.contains_key(key(id))?)
    }

    /// The newest number of a revocation; 0 before the first.
    pub(super) fn last_revocation(&self) -> Result<u64, ClaimError> {
        let row = self.numbers.get(LAST_REVOCATION)?;
        row.map_or(Ok(0), |row| number(&row).ok_or(ClaimError::Unreadable))
    }

    pub(super) fn unsettled(
        &self,
        after: Option<Unsettled>,
        block_number: u64,
        limit: usize,
    ) -> Result<Vec<Unsettled>, ClaimError> {
        let start = after.map_or_else(Vec::new, |after| {
            // The least key that is greater.
            [unsettled_key(after).as_slice(), &[0]].concat()
        });
        let end = block_number.saturating_add(1).to_be_bytes().to_vec();
        if start >= end {
            return Ok(Vec::new());
        }
        self.unsettled
            .range(start..end)
            .take(limit)
            .map(|row| read_unsettled(&row.key()?).ok_or(ClaimError::Unreadable))
            .collect()
    }

    pub(super) fn revocations(
        &self,
        provider_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Revocation>, ClaimError> {
        let start = revocation_key(provider_id, after.saturating_add(1));
        let end = revocation_key(provider_id, u64::MAX);
        self.revocations
            .range(start..=end)
            .take(limit)
            .map(|row| serde_json::from_slice(&row.value()?).map_err(|_| ClaimError::Unreadable))
            .collect()
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            store: self,
            writes: self
                .database
                .batch()
                .durability(Some(PersistMode::SyncData)),
        }
    }

    #[cfg(test)]
    pub(super) fn disk(&self) -> std::sync::Arc<Disk> {
        std::sync::Arc::clone(&self.disk)
    }
}

impl Batch<'_> {
    /// Puts a claim down; `unsettled` is the transfer's block if a reorg may still remove it.
    pub(super) fn claim(
        &mut self,
        id: TransferId,
        claim: &Claim,
        unsettled: Option<u64>,
    ) -> Result<(), ClaimError> {
        let row = serde_json::to_vec(claim).map_err(|_| ClaimError::Unreadable)?;
        self.writes.insert(&self.store.claims, key(id), row);
        if let Some(block_number) = unsettled {
            self.mark(Unsettled { id, block_number });
        }
        Ok(())
    }

    /// Marks a claimed transfer as not final.
    pub(super) fn mark(&mut self, unsettled: Unsettled) {
        self.writes
            .insert(&self.store.unsettled, unsettled_key(unsettled), []);
    }

    /// Takes a mark away.
    pub(super) fn unmark(&mut self, unsettled: Unsettled) {
        self.writes
            .remove(&self.store.unsettled, unsettled_key(unsettled));
    }

    /// Puts a revocation down, and whether the transfer is gone now.
    pub(super) fn revocation(
        &mut self,
        id: TransferId,
        gone: bool,
        provider_id: &str,
        revocation: &Revocation,
    ) -> Result<(), ClaimError> {
        let row = serde_json::to_vec(revocation).map_err(|_| ClaimError::Unreadable)?;
        let place = revocation_key(provider_id, revocation.number);
        self.writes.insert(&self.store.revocations, place, row);
        if gone {
            self.writes.insert(&self.store.revoked, key(id), []);
        } else {
            self.writes.remove(&self.store.revoked, key(id));
        }
        let last = revocation.number.to_be_bytes();
        self.writes
            .insert(&self.store.numbers, LAST_REVOCATION, last);
        Ok(())
    }

    /// On disk when it returns; on an error it may be or not.
    pub(super) fn commit(self) -> Result<(), ClaimError> {
        #[cfg(test)]
        if std::mem::take(&mut *self.store.disk.lock().unwrap()) {
            return Err(fjall::Error::Io(std::io::ErrorKind::StorageFull.into()).into());
        }
        Ok(self.writes.commit()?)
    }
}

pub(super) fn key(id: TransferId) -> Key {
    let mut key = [0; KEY_LEN];
    let (chain, rest) = key.split_at_mut(NUMBER_LEN);
    chain.copy_from_slice(&id.network.chain_id().to_be_bytes());
    let (hash, index) = rest.split_at_mut(B256::len_bytes());
    hash.copy_from_slice(id.tx_hash.as_slice());
    index.copy_from_slice(&id.log_index.to_be_bytes());
    key
}

fn read_key(key: &[u8]) -> Option<TransferId> {
    let (chain, rest) = key.split_at_checked(NUMBER_LEN)?;
    let (hash, index) = rest.split_at_checked(B256::len_bytes())?;
    Some(TransferId {
        network: Network::from_chain_id(number(chain)?),
        tx_hash: B256::try_from(hash).ok()?,
        log_index: u32::from_be_bytes(index.try_into().ok()?),
    })
}

fn unsettled_key(unsettled: Unsettled) -> Vec<u8> {
    let block = unsettled.block_number.to_be_bytes();
    [block.as_slice(), &key(unsettled.id)].concat()
}

fn read_unsettled(row: &[u8]) -> Option<Unsettled> {
    let (block, key) = row.split_at_checked(NUMBER_LEN)?;
    Some(Unsettled {
        id: read_key(key)?,
        block_number: number(block)?,
    })
}

/// Provider ids have no zero byte, so no provider's keys lie among another's.
fn revocation_key(provider_id: &str, number: u64) -> Vec<u8> {
    [provider_id.as_bytes(), &[0], &number.to_be_bytes()].concat()
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_names_exactly_one_transfer(chain: u64, hash: [u8; 32], log_index: u32, block_number: u64) {
            let id = TransferId {
                network: Network::from_chain_id(chain),
                tx_hash: B256::new(hash),
                log_index,
            };
            prop_assert_eq!(read_key(&key(id)), Some(id));
            let unsettled = Unsettled { id, block_number };
            prop_assert_eq!(read_unsettled(&unsettled_key(unsettled)), Some(unsettled));
        }
    }
}
