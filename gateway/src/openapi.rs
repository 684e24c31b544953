//! OpenAPI, made from the handlers and messages.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use x402_schemas::codes::{Denial, PaymentFailure, Refusal};
use x402_service::openapi::CommonAnswers;

use crate::{
    agents, approvals, dry_run, events::stream, keys, members, pay, payments, proofs, providers,
    quote, relay, sessions, treasury, webhooks, workspaces,
};

/// Every code of an [`x402_schemas::api::ErrorBody`], with what it means.
const ERROR_CODES: [(&str, &str); 27] = [
    (
        "INVALID_REQUEST",
        "the request cannot be read; the message says what is wrong",
    ),
    (
        "INVALID_SIGNATURE",
        "the signature is not the treasury's over this workspace",
    ),
    (
        "NOT_AN_APPROVAL",
        "only a signed approval of the workspace's spender, or ether for it, is relayed",
    ),
    ("UNAUTHORIZED", "no key, or not one that is valid here"),
    (
        "ROLE_REQUIRED",
        "your role does not allow it; the message says which does",
    ),
    ("KEY_REQUIRED", "a session makes no session; send the key"),
    ("LAST_OWNER", "a workspace keeps an owner who can act"),
    ("NOT_FOUND", "nothing of the caller's has that name"),
    ("METHOD_NOT_ALLOWED", "the route takes other methods"),
    ("PAYEE_TAKEN", "the address belongs to another provider"),
    ("HOST_TAKEN", "the host belongs to another provider"),
    ("TREASURY_TAKEN", "the address belongs to another workspace"),
    (
        "NOT_AWAITING_APPROVAL",
        "the payment does not, or no longer, wait for an owner",
    ),
    (
        "IDEMPOTENCY_KEY_REUSED",
        "the Idempotency-Key was used for another request",
    ),
    (
        "TOO_MANY_REQUESTS",
        "this key, or this address without one, asks too much; Retry-After and X-RateLimit-… tell when to come back",
    ),
    ("TOO_MANY", "a bound of the workspace is reached"),
    (
        "TOO_MANY_STREAMS",
        "as many streams of events are open as may be",
    ),
    ("EVENTS_GONE", "events after that number are no longer kept"),
    (
        "WEBHOOK_URL_REFUSED",
        "a webhook may not lead there; the message says why",
    ),
    (
        "TRANSACTION_REFUSED",
        "the chain refuses the relayed transaction",
    ),
    ("PAYLOAD_TOO_LARGE", "the body is larger than 64 KiB"),
    ("UNSUPPORTED_MEDIA_TYPE", "the body is not application/json"),
    ("INTERNAL", "our fault, and logged"),
    (
        "LEDGER_UNAVAILABLE",
        "the ledger is busy or away; try again",
    ),
    (
        "CHAIN_UNAVAILABLE",
        "the chain's endpoint does not answer; try again",
    ),
    (
        "VERIFIER_UNAVAILABLE",
        "the verifier does not answer; try again",
    ),
    ("STOPPING", "the gateway is stopping; try again"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "x402 gateway",
        description = "Agents ask, policy decides, the treasury pays in MNEE, a signed proof comes back.\n\n\
            Amounts are decimal strings of MNEE. Unknown fields are refused. Every refusal has a stable code.",
    ),
    paths(
        quote::quote,
        pay::pay,
        payments::show,
        payments::list,
        stream::of_payment,
        stream::of_workspace,
        webhooks::create,
        webhooks::list,
        webhooks::delete,
        webhooks::rotate,
        webhooks::test,
        webhooks::deliveries,
        approvals::list,
        approvals::approve,
        approvals::reject,
        dry_run::dry_run,
        workspaces::show,
        workspaces::set_budget,
        workspaces::set_policy,
        workspaces::pause,
        workspaces::resume,
        members::create,
        members::list,
        members::show_me,
        members::set_role,
        members::rotate,
        members::rotate_mine,
        members::remove,
        sessions::create,
        keys::list,
        keys::revoke,
        agents::create,
        agents::list,
        agents::set_policy,
        agents::pause,
        agents::resume,
        agents::rotate,
        agents::revoke,
        providers::create,
        providers::list,
        providers::rotate,
        providers::revoke,
        providers::set_confirmations,
        treasury::attach,
        treasury::show,
        relay::relay,
        workspaces::create,
        proofs::rotate,
        proofs::jwks,
    ),
    components(schemas(Denial, PaymentFailure, Refusal)),
    modifiers(&Keys, &Codes, &CommonAnswers),
)]
struct Document;

/// The kinds of bearer tokens.
struct Keys;

impl Modify for Keys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, description) in [
            ("agent", "x402_agent_…, from POST /agents"),
            (
                "owner",
                "x402_owner_… or x402_member_…, from POST /workspaces or POST /members, or a session's token from POST /sessions; what it may do is its member's role",
            ),
            (
                "operator",
                "the operator's token, from the gateway's settings",
            ),
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(description))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// Lists every code in the description.
struct Codes;

impl Modify for Codes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let mut text = openapi.info.description.take().unwrap_or_default();
        text.push_str("\n\nCodes of refused requests:\n");
        for (code, meaning) in ERROR_CODES {
            for part in ["\n- `", code, "`: ", meaning] {
                text.push_str(part);
            }
        }
        openapi.info.description = Some(text);
    }
}

/// `GET /openapi.json`.
pub(crate) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
