//! Owners have events sent to them. Signed as Standard Webhooks has it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::events::EventKind;

/// `POST /webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateWebhook {
    /// Where to; https.
    #[cfg_attr(feature = "openapi", schema(example = "https://example.com/x402"))]
    pub url: String,
    /// Only events of these types; all when absent or empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<EventKind>,
}

/// 201 to `POST /webhooks`, 200 to `POST /webhooks/{id}/rotate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecret {
    /// The webhook.
    pub webhook_id: String,
    /// `whsec_…`, which signs what is sent; shown this once.
    pub secret: String,
}

/// One of `GET /webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WebhookView {
    /// The webhook.
    pub webhook_id: String,
    /// Where to.
    pub url: String,
    /// Only events of these types; all when empty.
    pub types: Vec<EventKind>,
    /// Events that have yet to arrive.
    pub waiting: u64,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, or will be tried again.
    Waiting,
    /// The endpoint has answered with 2xx.
    Delivered,
    /// It was tried for 24 hours and is given up.
    Failed,
}

/// One of `GET /webhooks/{id}/deliveries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// The event's number.
    pub event: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// `webhook-id` of every attempt.
    pub message_id: String,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// HTTP status of the last answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// Why the last attempt did not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_at: Option<Timestamp>,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub next_at: Option<Timestamp>,
}

/// 200 to `POST /webhooks/{id}/test`, whatever the endpoint made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TestDelivery {
    /// `webhook-id` of the test; the body's type is `webhook.test`.
    pub message_id: String,
    /// Whether the endpoint has answered with 2xx.
    pub delivered: bool,
    /// HTTP status of the answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it did not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
