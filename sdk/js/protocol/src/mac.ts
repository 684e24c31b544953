// HMAC-SHA-256 (RFC 2104) over the library's hash: its own HMAC takes more room than a package of this size has, and
// works the key in anew for each message.

import { sha256 } from "@noble/hashes/sha2.js";

const BLOCK_LENGTH = 64;

/** A key that authenticates messages. */
export class Mac {
  readonly #inner: ReturnType<typeof sha256.create>;
  readonly #outer: ReturnType<typeof sha256.create>;

  constructor(key: Uint8Array) {
    const block = new Uint8Array(BLOCK_LENGTH);
    block.set(key.length > BLOCK_LENGTH ? sha256(key) : key);
    this.#inner = sha256.create().update(block.map((byte) => byte ^ 0x36));
    this.#outer = sha256.create().update(block.map((byte) => byte ^ 0x5c));
  }

  /** The tag of a message, given in parts. */
  of(...parts: readonly Uint8Array[]): Uint8Array {
    const inner = this.#inner.clone();
    for (const part of parts) inner.update(part);
    return this.#outer.clone().update(inner.digest()).digest();
  }
}
