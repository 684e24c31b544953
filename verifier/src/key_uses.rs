//! Which keys were used, told to the gateway, where owners look when a key was last used.
//!
//! A request only sets a flag. What cannot be told now is told with the next round.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use url::Url;
use x402_schemas::api::directory::{KeyUses, MAX_KEY_USES};
use x402_service::logs::with_causes;

use crate::{directory::DirectoryView, gateway::Gateway};

/// How often the gateway is told, and so how late it may know.
const TOLD_EACH: Duration = Duration::from_secs(10);

/// The longest that the last round may hold up a stop.
const LAST_ROUND: Duration = Duration::from_secs(1);

/// Tells one gateway.
pub(crate) struct Teller {
    pub(crate) view: Arc<DirectoryView>,
    pub(crate) gateway: Gateway,
    pub(crate) endpoint: Url,
}

impl Teller {
    /// Tells until `stop`, and once more then.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(TOLD_EACH))
            .await
            .is_some()
        {
            self.round().await;
        }
        // A gateway that stops with this verifier may be gone already.
        let _ = tokio::time::timeout(LAST_ROUND, self.round()).await;
    }

    async fn round(&self) {
        let used = self.view.take_used();
        let mut calls = used.chunks(MAX_KEY_USES);
        while let Some(key_ids) = calls.next() {
            let told = KeyUses {
                key_ids: key_ids.to_vec(),
            };
            if let Err(error) = self.gateway.tell(self.endpoint.clone(), &told).await {
                tracing::debug!(
                    error = with_causes(&error),
                    "the gateway is told later which keys were used"
                );
                self.view.mark_used(key_ids);
                calls.by_ref().for_each(|rest| self.view.mark_used(rest));
            }
        }
    }
}
