// A signature is what the Rust SDK's would be: the public key is the one that its tests name.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hexToBytes } from "@noble/hashes/utils.js";

import { InvoiceSigner } from "../src/signature.js";

const KEY = "x402_provider_0011223344556677_0123456789abcdef";
const PUBLIC_KEY = "debee0bab0fd269df6fa4459d852c19bceb23675a5dfc9b5f23602810aa06e15";
const HASH = `0x${"01".repeat(32)}`;

test("a signature is of its key and its invoice only", async () => {
  const [keyId, encoded = ""] = (await new InvoiceSigner(KEY).sign(HASH)).split(".");
  assert.equal(keyId, "0011223344556677");
  const bytes = Buffer.from(encoded, "base64url");
  const publicKey = await crypto.subtle.importKey("raw", hexToBytes(PUBLIC_KEY), "Ed25519", false, ["verify"]);
  const isOf = (hash: string): Promise<boolean> =>
    crypto.subtle.verify("Ed25519", publicKey, bytes, hexToBytes(hash.slice(2)));
  assert.equal(await isOf(HASH), true);
  assert.equal(await isOf(`0x${"02".repeat(32)}`), false);
});

test("other texts are no providers' keys", () => {
  for (const key of ["", "x402_agent_00_00", "x402_provider_zz_00", "x402_provider_00", "x402_provider_00_"]) {
    assert.throws(() => new InvoiceSigner(key), TypeError);
  }
});
