// A provider's signature over its invoice: `X-402-Signature: <key id>.<base64url>`.
//
// Ed25519 over the invoice's EIP-712 hash, with a key derived from the provider's API key by HKDF-SHA256, so that a
// provider configures nothing. The gateway keeps the public key since it made the API key.

import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";

import { utf8 } from "./bytes.js";
import { Mac } from "./mac.js";

const SALT = utf8("x402 invoice signing v1");
/** The label of the only block that is expanded, and its number. */
const INFO = utf8("ed25519\x01");

/** What stands before the seed of an Ed25519 key in PKCS #8 (RFC 8410). */
const PKCS8_PREFIX = "302e020100300506032b657004220420";

/** Signs one provider's invoices. */
export class InvoiceSigner {
  readonly #keyId: string;
  readonly #seed: Uint8Array;
  #key: Promise<CryptoKey> | undefined;

  /** The signer that belongs to an API key, `x402_provider_<key id>_<secret>`. */
  constructor(apiKey: string) {
    const keyId = /^x402_provider_([0-9a-fA-F]{1,64})_./.exec(apiKey)?.[1];
    if (keyId === undefined) {
      throw new TypeError("apiKey is x402_provider_…");
    }
    this.#keyId = keyId;
    this.#seed = new Mac(new Mac(SALT).of(utf8(apiKey))).of(INFO);
  }

  /** Signs an invoice by its hash. */
  async sign(invoiceHash: string): Promise<string> {
    this.#key ??= crypto.subtle.importKey("pkcs8", hexToBytes(PKCS8_PREFIX + bytesToHex(this.#seed)), "Ed25519", false, ["sign"]);
    const bytes = await crypto.subtle.sign("Ed25519", await this.#key, hexToBytes(invoiceHash.slice(2)));
    return `${this.#keyId}.${base64Url(new Uint8Array(bytes))}`;
  }
}

/** 64 bytes are 86 characters and two of padding, which base64url leaves out. */
function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).slice(0, 86).replace(/\+/g, "-").replace(/\//g, "_");
}
