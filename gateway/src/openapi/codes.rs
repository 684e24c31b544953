//! The codes of refusals that have no body of their own.

/// Every code of an [`x402_schemas::api::ErrorBody`], with what it means.
pub(super) const ERROR_CODES: [(&str, &str); 27] = [
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
