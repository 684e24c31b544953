// The headers of 402 answers mean the same here as in Rust.

import assert from "node:assert/strict";
import { test } from "node:test";

import { extractInvoice, InvoiceError } from "../src/index.js";
import { section } from "../../testing/vectors.js";

test("headers of 402 answers", () => {
  for (const { method, url, headers, invoice, problem } of section("paymentRequired")) {
    const response = new Response(null, { status: 402, headers });
    if (problem === undefined) {
      const read = extractInvoice(response, { method, url });
      const { amount, description = null, signature = null } = read;
      assert.deepEqual({ ...read, amount: amount.toString(), description, signature }, invoice);
      continue;
    }
    assert.throws(
      () => extractInvoice(response, { method, url }),
      (error) => {
        assert.ok(error instanceof InvoiceError, String(error));
        assert.deepEqual({ header: error.header ?? null, problem: error.problem }, problem);
        return true;
      },
      JSON.stringify(headers),
    );
  }
});
