//! Reading bodies up to a bound: nobody fills our memory, nobody keeps us for ever.

use std::time::Duration;

use reqwest::Response;

/// The most of a provider's refusal that is kept for the caller, in bytes.
const MAX_REFUSAL_BYTES: usize = 16 * 1_024;

/// How long a provider may take to send its refusal.
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// Why a body was not read whole.
#[derive(Debug)]
pub(crate) enum Partial {
    /// It has more than the bound.
    TooLarge,
    /// The connection failed within it.
    Broken(reqwest::Error),
}

/// The whole body, unless it has more than `limit_bytes`.
pub(crate) async fn whole(mut response: Response, limit_bytes: usize) -> Result<Vec<u8>, Partial> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Partial::Broken)? {
        if body.len().saturating_add(chunk.len()) > limit_bytes {
            return Err(Partial::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// As much of a provider's refusal as arrives in time and fits. It only explains, so a part will do.
pub(crate) async fn refusal(mut response: Response) -> String {
    let mut body = Vec::new();
    let _ = tokio::time::timeout(REFUSAL_TIME, async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MAX_REFUSAL_BYTES.saturating_sub(body.len());
            body.extend(chunk.iter().take(room));
            if chunk.len() >= room {
                break;
            }
        }
    })
    .await;
    let text = String::from_utf8_lossy(&body);
    // A stranger's text ends up in logs and terminals, where control characters are commands.
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect()
}
