// Requests that are turned away, as HTTP.
//
// A 402 always carries a new invoice. "Not yet" is a 503 and never a 402: a payment is on its way, and a 402 would
// invite a second one.

import { formatAmount } from "../../protocol/src/amount.js";
import type { Refusal } from "../../protocol/src/codes.js";
import * as header from "../../protocol/src/header.js";
import type { Terms } from "./invoice.js";

/** When asking again makes sense while the verifier is away, in milliseconds. */
const UNAVAILABLE_RETRY_MS = 2_000;

/** When asking again makes sense while a payment is pending and the verifier advises nothing. */
const PENDING_RETRY_MS = 1_000;

/** An answer, before it is a framework's. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A new invoice, besides its terms. */
export interface Issued {
  readonly invoiceId: string;
  /** Unix seconds. */
  readonly expiresAt: number;
  /** The provider's signature over it. */
  readonly signature: string;
}

/** What a buyer should do about a refusal. */
const ADVICE: Record<Refusal | "PAYMENT_REQUIRED", string> = {
  PAYMENT_REQUIRED: "pay this invoice through your gateway, then send the request again with its proof in X-402-Proof",
  INVALID_PROOF:
    "X-402-Proof is no proof that is accepted here; send it as your gateway gave it, or pay this new invoice",
  PROOF_EXPIRED: "the proof or its invoice has ended; to buy now, pay this new invoice",
  PAYMENT_NOT_FOUND: "the chain shows no such payment; ask your gateway before you pay this new invoice",
  PAYMENT_PENDING: "the payment is not confirmed yet; do not pay again, send the same proof again after retryAfterMs",
  INVOICE_MISMATCH:
    "the proof pays for another request; send it to that method and URL, or pay this new invoice",
  AMOUNT_MISMATCH: "the proof pays another amount than the price; ask the provider before you pay this new invoice",
  RECIPIENT_MISMATCH: "the proof pays somebody else; to buy here, pay this new invoice",
  NETWORK_MISMATCH: "the proof pays on another network or in another token; to buy here, pay this new invoice",
  ALREADY_CLAIMED: "the proof was used before; if you were not served for it, ask the provider, else pay this new invoice",
  PAYMENT_REVERTED: "the chain has dropped the payment; ask your gateway before you pay this new invoice",
};

/** 402 with a new invoice, and why the proof that came, if any, does not do. */
export function paymentRequired(
  code: Refusal | undefined,
  { invoiceId, expiresAt, signature }: Issued,
  terms: Terms,
  description: string,
): Answer {
  const amount = formatAmount(terms.price);
  const { payTo, resource } = terms;
  const network = terms.network.name;
  const error = code ?? "PAYMENT_REQUIRED";
  const currency = header.MNEE;
  const until = new Date(expiresAt * 1_000).toISOString().replace(".000Z", "Z");
  const body = { error, message: ADVICE[error], invoiceId, amount, currency, payTo, network, description, resource, expiresAt: until };
  return json(402, body, {
    [header.INVOICE_ID]: invoiceId,
    [header.AMOUNT]: amount,
    [header.PAY_TO]: payTo,
    [header.NETWORK]: network,
    [header.CURRENCY]: currency,
    [header.DESCRIPTION]: description,
    [header.SIGNATURE]: signature,
  });
}

/** Its payment is not indexed or confirmed yet. */
export function notYet(retryAfterMs: number | undefined): Answer {
  return later("PAYMENT_PENDING", ADVICE.PAYMENT_PENDING, retryAfterMs ?? PENDING_RETRY_MS);
}

/** Whether it was paid cannot be found out now. */
export function unavailable(): Answer {
  const message = "payments cannot be verified now; do not pay again, send the same proof again after retryAfterMs";
  return later("VERIFIER_UNAVAILABLE", message, UNAVAILABLE_RETRY_MS);
}

/** Its path is not spelled as agents and invoices spell it. */
export function notCanonical(): Answer {
  const message =
    "send an upper-case method and the path in its canonical form: no dot segments, nothing that a URL has to escape";
  return json(400, { error: "INVALID_REQUEST", message }, {});
}

/** As a `Response`. */
export function toResponse(answer: Answer): Response {
  return new Response(answer.body, { status: answer.status, headers: { ...answer.headers } });
}

function later(error: string, message: string, retryAfterMs: number): Answer {
  return json(503, { error, message, retryAfterMs }, { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) });
}

function json(status: number, body: object, headers: Record<string, string>): Answer {
  return {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
    body: JSON.stringify(body),
  };
}
