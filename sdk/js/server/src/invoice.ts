// Invoice ids: issued and recognised with a key, never stored.
//
// An id is `inv_` and hex of: expiry (8 bytes, Unix seconds), 12 random bytes, and 16 bytes of HMAC-SHA256 over
// both and the terms. Whoever has the key knows which terms an id was issued for, so a restart or a second instance
// loses nothing, whichever SDK it runs. The key is derived from the API key with a label of its own.

import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";

import { utf8 } from "../../protocol/src/bytes.js";
import { Mac } from "../../protocol/src/mac.js";
import type { Network } from "../../protocol/src/network.js";
import { PROOF_LIFETIME_SECONDS } from "../../protocol/src/proof.js";

const PREFIX = "inv_";
const EXPIRY_LENGTH = 8;
/** Random bytes of an id. */
export const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;

/** Separates the derived key from every other use of the API key. */
const KEY_LABEL = "x402-server invoice key v1";

/** What an invoice asks for. */
export interface Terms {
  readonly resource: string;
  readonly price: bigint;
  readonly payTo: string;
  readonly network: Network;
}

/** How an invoice id stands to some terms: issued here for them and a proof may live, or too long ago, or not. */
export type Standing = "redeemable" | "ended" | "notOurs";

/** The keys that issue and recognise invoices. */
export class InvoiceKeys {
  readonly #current: Mac;
  readonly #previous: Mac | undefined;

  constructor(apiKey: string, previousApiKey: string | undefined) {
    this.#current = derive(apiKey);
    this.#previous = previousApiKey === undefined ? undefined : derive(previousApiKey);
  }

  /** A new invoice id. `nonce` has to be random: it is what makes two invoices two. */
  issue(terms: Terms, expiresAt: number, nonce: Uint8Array): string {
    const signed = hex(BigInt(expiresAt), EXPIRY_LENGTH) + bytesToHex(nonce);
    return PREFIX + signed + bytesToHex(tag(this.#current, hexToBytes(signed), terms));
  }

  /** Whether the id was issued for these terms. The expiry bounds paying, not redeeming: money that came is
   * honoured for as long as its proof can live. */
  standing(id: string, terms: Terms, now: number): Standing {
    if (!/^inv_[0-9a-f]{72}$/.test(id)) return "notOurs";
    const bytes = hexToBytes(id.slice(PREFIX.length));
    const signed = bytes.subarray(0, EXPIRY_LENGTH + NONCE_LENGTH);
    const given = bytes.subarray(signed.length);
    const matches = (key: Mac): boolean => isEqual(tag(key, signed, terms), given);
    const ours = matches(this.#current) || (this.#previous !== undefined && matches(this.#previous));
    if (!ours) return "notOurs";
    const expiresAt = new DataView(signed.buffer, signed.byteOffset).getBigUint64(0);
    return BigInt(now) <= expiresAt + BigInt(PROOF_LIFETIME_SECONDS) ? "redeemable" : "ended";
  }
}

function derive(apiKey: string): Mac {
  return new Mac(new Mac(utf8(apiKey)).of(utf8(KEY_LABEL)));
}

function tag(key: Mac, signed: Uint8Array, terms: Terms): Uint8Array {
  return key.of(signed, bytesOf(terms)).subarray(0, TAG_LENGTH);
}

const worked = new WeakMap<Terms, Uint8Array>();

/** Every field has a fixed length except the resource, which comes last, so no two terms sign alike. */
function bytesOf(terms: Terms): Uint8Array {
  let bytes = worked.get(terms);
  if (bytes === undefined) {
    const { price, payTo, network, resource } = terms;
    const fixed = hex(price, 32) + payTo.slice(2).toLowerCase() + hex(network.chainId, 8);
    bytes = hexToBytes(fixed + bytesToHex(utf8(resource)));
    worked.set(terms, bytes);
  }
  return bytes;
}

/** A number as so many bytes, in hex. */
function hex(number: bigint, length: number): string {
  return number.toString(16).padStart(length * 2, "0");
}

/** Takes as long for any two tags: a tag is a secret until its request has come. */
function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  let difference = one.length ^ other.length;
  for (let index = 0; index < one.length; index += 1) difference |= (one[index] ?? 0) ^ (other[index] ?? 0);
  return difference === 0;
}
