// The two hashes of the protocol. The library's classes are used themselves: what it wraps around them checks calls
// that are not made here, in more bytes than a package has room for.

import { _SHA256 as Sha256 } from "@noble/hashes/sha2.js";
import { Keccak } from "@noble/hashes/sha3.js";
import { bytesToHex } from "@noble/hashes/utils.js";

export { Sha256 };

/** Keccak-256 in hex: bytes to a block, the padding of before SHA-3, bytes of the digest. */
export function keccak256(bytes: Uint8Array): string {
  return bytesToHex(new Keccak(136, 0x01, 32).update(bytes).digest());
}
