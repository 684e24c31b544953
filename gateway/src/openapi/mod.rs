//! OpenAPI, made from the handlers and messages.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use x402_schemas::{
    api::{ErrorBody, events::Event},
    codes::{Denial, PaymentFailure, Refusal},
};
use x402_service::openapi::CommonAnswers;

/// Every code, with what it means.
mod codes;

/// A request and every refusal of each operation, as they look.
mod examples;

use codes::ERROR_CODES;
use examples::Examples;

use crate::{
    agents, approvals, dry_run, events::stream, keys, members, pay, payments, proofs, providers,
    quote, relay, sessions, treasury, webhooks, workspaces,
};

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
        providers::set_registration,
        providers::set_confirmations,
        treasury::attach,
        treasury::show,
        relay::relay,
        workspaces::create,
        proofs::rotate,
        proofs::jwks,
    ),
    components(schemas(Denial, ErrorBody, Event, PaymentFailure, Refusal)),
    modifiers(&Keys, &Codes, &COMMON, &Examples),
)]
struct Document;

/// What the layers around the handlers answer.
const COMMON: CommonAnswers = CommonAnswers {
    limited: Some("TOO_MANY_REQUESTS: ask again after Retry-After"),
    unavailable: "LEDGER_UNAVAILABLE, STOPPING: ask again after Retry-After",
};

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
