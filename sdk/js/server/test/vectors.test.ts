// Invoice ids and signatures are the same here as in Rust.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hexToBytes } from "@noble/hashes/utils.js";

import { parseAmount } from "../../protocol/src/amount.js";
import { parseNetwork } from "../../protocol/src/network.js";
import { PROOF_LIFETIME_SECONDS } from "../../protocol/src/proof.js";
import { InvoiceKeys, type Terms } from "../src/invoice.js";
import { Keys } from "../src/keys.js";
import { Verifier } from "../src/verifier.js";
import { StandIn, withServers } from "../../testing/stand-in.js";
import { proofs, section } from "../../testing/vectors.js";

test("an invoice is recognised by any instance with the key, whichever SDK it runs", () => {
  for (const { apiKey, resource, price, payTo, network, expiresAt, nonce, invoiceId } of section("issuedInvoices")) {
    const terms: Terms = { resource, price: parseAmount(price), payTo, network: parseNetwork(network) };
    const keys = new InvoiceKeys(apiKey, undefined);
    assert.equal(keys.issue(terms, expiresAt, hexToBytes(nonce)), invoiceId);
    assert.equal(keys.standing(invoiceId, terms, expiresAt + PROOF_LIFETIME_SECONDS), "redeemable");
    assert.equal(keys.standing(invoiceId, terms, expiresAt + PROOF_LIFETIME_SECONDS + 1), "ended");
    assert.equal(new InvoiceKeys("other", undefined).standing(invoiceId, terms, expiresAt), "notOurs");
    assert.equal(new InvoiceKeys("other", apiKey).standing(invoiceId, terms, expiresAt), "redeemable");
    for (const change of [
      { resource: `${resource}2` },
      { price: parseAmount(price) + 1n },
      { payTo: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" },
      { network: parseNetwork("sepolia") },
    ]) {
      assert.equal(keys.standing(invoiceId, { ...terms, ...change }, expiresAt), "notOurs");
    }
    for (let at = 0; at < invoiceId.length; at += 1) {
      const changed = invoiceId.slice(0, at) + (invoiceId[at] === "0" ? "1" : "0") + invoiceId.slice(at + 1);
      assert.equal(keys.standing(changed, terms, expiresAt), "notOurs", changed);
    }
    for (const other of ["", "inv_", "inv_00", `${invoiceId}00`, `inv_${invoiceId.slice(4).toUpperCase()}A`]) {
      assert.equal(keys.standing(other, terms, expiresAt), "notOurs", other);
    }
  }
});

test("only what the gateway's keys have signed is believed", async () => {
  const { jwks, texts } = proofs();
  const verifier = await StandIn.answering({ status: 200, body: jwks });
  await withServers([verifier], async () => {
    const keys = new Keys(new Verifier(verifier.url, "k", 1_000, undefined), 60_000, 60_000, (message, cause) => assert.fail(`${message} ${cause}`));
    for (const { proof, stated, signed } of texts) {
      const read = await keys.read(proof);
      if (signed) assert.deepEqual({ ...(read as object), amount: String((read as { amount: bigint }).amount) }, stated);
      else assert.equal(read, "notSigned", proof);
    }
    assert.deepEqual(verifier.lines, ["GET /.well-known/jwks.json"]);
    assert.equal(verifier.seen[0]?.headers.authorization, undefined);
  });
});
