// Proofs, read without checking who says so: for finding out which invoice a proof is meant for, never for
// believing it. As strict about form as the verifier.

import { parseAddress } from "./address.js";
import { parseBaseUnits } from "./amount.js";
import { type Fields, parseObject, read, text, whole } from "./json.js";
import { parseInvoiceId, parseResource } from "./names.js";
import { parseNetwork } from "./network.js";

/** The `typ` of a proof's header. */
export const PROOF_TYPE = "x402-proof+jwt";

/** Seconds that a proof is good for. */
export const PROOF_LIFETIME_SECONDS = 24 * 60 * 60;

/** The longest proof that is read at all. */
export const MAX_PROOF_LENGTH = 8_192;

/** What the gateway states about one payment. */
export interface ProofClaims {
  /** The gateway's public URL. */
  readonly iss: string;
  /** The payment's id. */
  readonly sub: string;
  /** When it was signed, Unix seconds. */
  readonly iat: number;
  /** When it ends, Unix seconds. */
  readonly exp: number;
  /** The invoice that was paid. */
  readonly invoiceId: string;
  /** How much, in base units. */
  readonly amount: bigint;
  /** The token contract. */
  readonly asset: string;
  /** Who was paid. */
  readonly payTo: string;
  /** The treasury that paid. */
  readonly payer: string;
  /** The chain, as CAIP-2. */
  readonly network: string;
  /** The transaction that moved the money. */
  readonly txHash: string;
  /** Which log of its block. */
  readonly logIndex: number;
  /** The block that held it when the proof was signed. */
  readonly blockNumber: number;
  /** What was bought. */
  readonly resource: string;
}

const CLAIMS = new Set([
  ...["iss", "sub", "iat", "exp", "invoiceId", "amount", "asset", "payTo", "payer", "network"],
  ...["txHash", "logIndex", "blockNumber", "resource"],
]);

const MAX_LOG_INDEX = 2 ** 32 - 1;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** What a proof states, or nothing when it has not the form of a proof. */
export function readProof(proof: string): ProofClaims | undefined {
  if (typeof proof !== "string" || proof.length > MAX_PROOF_LENGTH) return undefined;
  const parts = /^[A-Za-z0-9_-]*\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/.exec(proof);
  const payload = parts?.[1] === undefined ? undefined : base64UrlText(parts[1]);
  const fields = payload === undefined ? undefined : parseObject(payload);
  return fields === undefined ? undefined : readClaims(fields);
}

/** The claims among the fields of a proof's payload. */
export function readClaims(fields: Fields): ProofClaims | undefined {
  const claims = {
    iss: text(fields, "iss"),
    sub: text(fields, "sub"),
    iat: whole(fields, "iat"),
    exp: whole(fields, "exp"),
    invoiceId: read(parseInvoiceId, text(fields, "invoiceId")),
    amount: read(parseBaseUnits, text(fields, "amount")),
    asset: read(parseAddress, text(fields, "asset")),
    payTo: read(parseAddress, text(fields, "payTo")),
    payer: read(parseAddress, text(fields, "payer")),
    network: read(parseNetwork, text(fields, "network"))?.caip2,
    txHash: read(parseHash, text(fields, "txHash")),
    logIndex: whole(fields, "logIndex"),
    blockNumber: whole(fields, "blockNumber"),
    resource: read(parseResource, text(fields, "resource")),
  };
  const complete = Object.values(claims).every((claim) => claim !== undefined);
  const known = Object.keys(fields).every((name) => CLAIMS.has(name));
  if (!complete || !known || (claims.logIndex ?? 0) > MAX_LOG_INDEX) return undefined;
  return claims as ProofClaims;
}

/** A 32-byte hash in hex. */
export function parseHash(hash: string): string {
  if (/^0x[0-9a-fA-F]{64}$/.test(hash)) return hash.toLowerCase();
  throw new TypeError("a hash is 0x followed by 64 hex digits");
}

function base64UrlText(encoded: string): string | undefined {
  try {
    const binary = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
    // Proofs are ASCII, of which each byte is its own character.
    if (/^[\0-\x7f]*$/.test(binary)) return binary;
    const bytes = new Uint8Array(binary.length);
    for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
