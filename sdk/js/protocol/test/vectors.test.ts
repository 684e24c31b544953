// What the protocol's texts mean is the same here as in Rust.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AddressError, parseAddress } from "../src/address.js";
import { AmountError, formatAmount, parseAmount, parseBaseUnits } from "../src/amount.js";
import { DENIALS, PAYMENT_FAILURES, REFUSALS } from "../src/codes.js";
import { invoiceHash } from "../src/invoice-hash.js";
import { NameError, parseInvoiceId, parseResource, resourceOf } from "../src/names.js";
import { NetworkError, parseNetwork } from "../src/network.js";
import { readProof } from "../src/proof.js";
import { proofs, section } from "../../testing/vectors.js";

test("amounts", () => {
  for (const { text, baseUnits, canonical, problem } of section("amounts")) {
    if (problem !== undefined) {
      assert.throws(() => parseAmount(text), (error) => error instanceof AmountError && error.problem === problem, text);
      continue;
    }
    const units = parseAmount(text);
    assert.equal(units, BigInt(baseUnits), text);
    assert.equal(formatAmount(units), canonical);
    assert.equal(parseBaseUnits(baseUnits), units);
  }
});

test("addresses", () => {
  for (const { text, address, problem } of section("addresses")) {
    if (problem === undefined) assert.equal(parseAddress(text), address);
    else assert.throws(() => parseAddress(text), (error) => error instanceof AddressError && error.problem === problem, text);
  }
});

test("networks", () => {
  for (const { text, name, caip2, problem } of section("networks")) {
    if (problem === true) assert.throws(() => parseNetwork(text), NetworkError, text);
    else assert.deepEqual([parseNetwork(text).name, parseNetwork(text).caip2], [name, caip2]);
  }
});

test("resources", () => {
  for (const { method, url, resource, problem } of section("resources")) {
    if (problem === true) assert.throws(() => resourceOf(method, new URL(url)), NameError, url);
    else assert.equal(resourceOf(method, new URL(url)), resource);
  }
  for (const { text, good } of section("resourceTexts")) {
    if (good) assert.equal(parseResource(text), text);
    else assert.throws(() => parseResource(text), NameError, JSON.stringify(text));
  }
});

test("invoice ids", () => {
  for (const { text, good } of section("invoiceIds")) {
    if (good) assert.equal(parseInvoiceId(text), text);
    else assert.throws(() => parseInvoiceId(text), NameError, JSON.stringify(text));
  }
});

test("the hash that binds a payment to its invoice", () => {
  for (const { invoiceId, payTo, amount, resource, network, token, hash } of section("invoiceHashes")) {
    const invoice = { invoiceId, payTo, amount: parseAmount(amount), resource };
    assert.equal(invoiceHash(invoice, network, token), hash);
  }
});

test("what proofs state", () => {
  for (const { proof, stated } of proofs().texts) {
    const read = readProof(proof);
    if (stated === null) {
      assert.equal(read, undefined, proof);
      continue;
    }
    assert.deepEqual({ ...read, amount: read?.amount.toString() }, stated);
  }
});

test("codes", () => {
  assert.deepEqual(DENIALS, section("denials"));
  assert.deepEqual(PAYMENT_FAILURES, section("paymentFailures"));
  assert.deepEqual(REFUSALS, section("refusals"));
});

test("whatever the text, only the reader's own errors come out", () => {
  let state = 42;
  const random = (below: number): number => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) % below;
  for (let round = 0; round < 5_000; round += 1) {
    const text = Array.from({ length: random(60) }, () => String.fromCharCode(random(3) === 0 ? random(0xffff) : 32 + random(95))).join("");
    for (const [read, kind] of [
      [parseAmount, AmountError],
      [parseAddress, AddressError],
      [parseNetwork, NetworkError],
      [parseResource, NameError],
      [parseInvoiceId, NameError],
    ] as const) {
      try {
        read(text);
      } catch (error) {
        assert.ok(error instanceof kind, `${text}: ${String(error)}`);
      }
    }
    readProof(text);
  }
});
