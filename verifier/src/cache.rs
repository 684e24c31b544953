//! Caches of one make: bounded by entries, with room from the start, so that no request pays for growth.

use std::hash::Hash;

use alloy_primitives::map::DefaultHashBuilder;

/// Entries that there is room for from the start, eight bytes each.
const ROOM: u64 = 1_000_000;

/// What is remembered, the most used of it when not all fits.
pub(crate) type Cache<K, V> = moka::sync::Cache<K, V, DefaultHashBuilder>;

/// A cache of at most so many entries.
pub(crate) fn cache<K, V>(entries: u64) -> Cache<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    moka::sync::Cache::builder()
        .max_capacity(entries)
        .initial_capacity(usize::try_from(entries.min(ROOM)).unwrap_or_default())
        .build_with_hasher(DefaultHashBuilder::default())
}
