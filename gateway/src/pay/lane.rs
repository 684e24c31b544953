//! One payment of a spender at a time is signed and handed over, so that nonces reach the chain in
//! order. Lanes of different workspaces never wait for each other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A lane for each workspace that has paid since the start.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Lanes {
    /// The workspace's lane; lock it to take a turn.
    pub(crate) fn of_workspace(&self, workspace_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(workspace_id.to_owned()).or_default())
    }
}
