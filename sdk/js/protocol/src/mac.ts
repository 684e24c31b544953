// HMAC-SHA-256 (RFC 2104) over the library's hash: its own HMAC takes more room than a package of this size has, and
// works the key in anew for each message.

import { Sha256 } from "./hash.js";

const BLOCK_LENGTH = 64;

/** A key that authenticates messages. */
export class Mac {
  readonly #inner: Sha256;
  readonly #outer: Sha256;

  constructor(key: Uint8Array) {
    const block = new Uint8Array(BLOCK_LENGTH);
    block.set(key.length > BLOCK_LENGTH ? new Sha256().update(key).digest() : key);
    this.#inner = new Sha256().update(block.map((byte) => byte ^ 0x36));
    this.#outer = new Sha256().update(block.map((byte) => byte ^ 0x5c));
  }

  /** The tag of a message, given in parts. */
  of(...parts: readonly Uint8Array[]): Uint8Array {
    const inner = this.#inner.clone();
    for (const part of parts) inner.update(part);
    return this.#outer.clone().update(inner.digest()).digest();
  }
}
