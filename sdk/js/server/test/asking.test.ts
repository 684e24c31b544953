// What a request without a good proof is told, by every adapter.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createX402, paymentOf, REFUSALS, type Refused } from "../src/index.js";
import { extractInvoice } from "../../agent/src/index.js";
import { PAY_TO, unsignedProof } from "../../testing/proof.js";
import { ADAPTERS, Api, code, KEY, options, PUBLIC_URL, refused, verifier } from "./scene.js";

for (const [name, start] of ADAPTERS) {
  test(`${name}: a request without a proof is told the price in headers and body`, async () => {
    const asked = await verifier();
    const api = await Api.start(start, options(asked));
    const answer = await api.send("GET /report?private=1");
    assert.equal(answer.status, 402);
    const body = JSON.parse(answer.body);
    assert.match(body.invoiceId, /^inv_[0-9a-f]{72}$/);
    assert.ok(Math.abs(Date.parse(body.expiresAt) - Date.now() - 600_000) < 5_000);
    assert.deepEqual(body, {
      error: "PAYMENT_REQUIRED",
      message: "pay this invoice through your gateway, then send the request again with its proof in X-402-Proof",
      invoiceId: body.invoiceId,
      amount: "0.05",
      currency: "MNEE",
      payTo: PAY_TO,
      network: "devnet",
      description: "A report",
      resource: `GET ${PUBLIC_URL}/v1/report`,
      expiresAt: body.expiresAt,
    });
    assert.equal(answer.headers.get("cache-control"), "no-store");
    const invoice = extractInvoice(new Response(null, answer), { url: `${PUBLIC_URL}/v1/report` });
    assert.deepEqual([invoice.invoiceId, invoice.resource], [body.invoiceId, body.resource]);
    assert.deepEqual(asked.seen, []);
    api.close();
    asked.close();
  });

  test(`${name}: each request gets an invoice of its own, priced by the request`, async () => {
    const asked = await verifier();
    const api = await Api.start(start, options(asked));
    const ids = new Set<string>();
    for (let round = 0; round < 20; round += 1) ids.add(JSON.parse((await api.send("GET /report")).body).invoiceId);
    assert.equal(ids.size, 20);
    assert.equal((await api.send("GET /dear")).headers.get("x-402-amount"), "0.06");
    assert.equal((await api.send("GET /sized?n=7")).headers.get("x-402-amount"), "0.07");
    // What was paid for a small one does not buy a large one.
    const proof = await api.bought("GET /sized?n=3", unsignedProof);
    assert.deepEqual(code(await api.send("GET /sized?n=9", proof)), [402, "INVOICE_MISMATCH"]);
    assert.equal((await api.send("GET /sized?n=3", proof)).status, 200);
    api.close();
    asked.close();
  });

  test(`${name}: a price that is none serves nobody`, async () => {
    const asked = await verifier();
    const api = await Api.start(start, options(asked));
    for (const price of ["x", "0", "-1"]) assert.equal((await api.send(`GET /sized?n=${price}`)).status, 500);
    api.close();
    asked.close();
  });

  test(`${name}: what is no proof, or of another request, is refused before the verifier is asked`, async () => {
    const asked = await verifier();
    const told: Refused[] = [];
    const api = await Api.start(start, options(asked, { onRefused: (refused) => told.push(refused) }));
    for (const garbage of ["x", "a.b.c", "..", "a.b.c, a.b.c", "a".repeat(8_193)]) {
      assert.deepEqual(code(await api.send("GET /report", garbage)), [402, "INVALID_PROOF"], garbage.slice(0, 20));
    }
    const proof = await api.bought("GET /report", unsignedProof);
    for (const line of ["POST /report", "GET /other", "GET /dear"]) {
      assert.deepEqual(code(await api.send(line, proof)), [402, "INVOICE_MISMATCH"], line);
    }
    assert.deepEqual(code(await api.send("GET /report", unsignedProof({ invoiceId: "inv_1" }))), [402, "INVOICE_MISMATCH"]);
    assert.deepEqual(asked.seen, []);
    assert.deepEqual(
      told.map((refused) => refused.code),
      [...Array(5).fill("INVALID_PROOF"), ...Array(4).fill("INVOICE_MISMATCH")],
    );
    api.close();
    asked.close();
  });

  test(`${name}: each refusal comes back with its code and a new invoice, and not yet without one`, async () => {
    for (const refusal of REFUSALS) {
      const asked = await verifier(refused(refusal, refusal === "PAYMENT_PENDING" ? 1_500 : undefined));
      const api = await Api.start(start, options(asked));
      const proof = await api.bought("GET /report", unsignedProof);
      const answer = await api.send("GET /report", proof);
      const body = JSON.parse(answer.body);
      assert.equal(body.error, refusal);
      assert.equal(answer.headers.get("cache-control"), "no-store");
      if (refusal === "PAYMENT_PENDING") {
        assert.deepEqual([answer.status, body.retryAfterMs, answer.headers.get("retry-after")], [503, 1_500, "2"]);
        assert.equal(answer.headers.get("x-402-invoice-id"), null, "a 402 would invite a second payment");
      } else {
        assert.equal(answer.status, 402);
        assert.ok(!proof.includes(answer.headers.get("x-402-invoice-id") ?? ""));
        assert.match(body.message, /pay this new invoice/);
      }
      api.close();
      asked.close();
    }
  });
}

test("Express: a path in another spelling is a bad request", async () => {
  const { request } = await import("node:http");
  const asked = await verifier();
  const x402 = createX402(options(asked));
  for (const path of ["/a/../b", "/./a", "/a/%2e%2e/b", '/a"b', "*", "/a\\b", "/é", "http://x.io/a"]) {
    const verdict = await x402.verifyPayment({ method: "GET", path, proof: undefined }, { price: "1", description: "d" });
    assert.ok(!verdict.paid);
    assert.equal(verdict.response.status, 400, path);
  }
  const lower = await x402.verifyPayment({ method: "get", path: "/a", proof: undefined }, { price: "1", description: "d" });
  assert.ok(!lower.paid && lower.response.status === 400);
  const named = async (publicUrl: string, path: string): Promise<string> => {
    const api = createX402(options(asked, { publicUrl }));
    const verdict = await api.verifyPayment({ method: "GET", path, proof: undefined }, { price: "1", description: "d" });
    assert.ok(!verdict.paid);
    return ((await verdict.response.json()) as { resource: string }).resource;
  };
  assert.equal(await named("https://x.io/v1/", "/report/"), "GET https://x.io/v1/report/");
  assert.equal(await named("http://127.0.0.1:80", "/a%2Fb"), "GET http://127.0.0.1/a%2Fb");
  assert.equal(await named("https://x.io", "//y.io/a"), "GET https://x.io//y.io/a");
  assert.ok(request);
  asked.close();
});

test("what cannot be served cannot be configured", () => {
  const base = {
    verifierUrl: "https://verifier.example.com",
    apiKey: KEY,
    payTo: PAY_TO,
    network: "mainnet",
    publicUrl: "https://api.example.com",
  };
  createX402(base);
  for (const wrong of [
    { verifierUrl: "http://verifier.example.com" },
    { verifierUrl: "https://u:p@verifier.example.com" },
    { apiKey: "" },
    { apiKey: "a b" },
    { previousApiKey: "a\nb" },
    { payTo: "0x12" },
    { payTo: PAY_TO.replace("C8", "c8") },
    { payTo: "0x0000000000000000000000000000000000000000" },
    { network: "Mainnet" },
    { publicUrl: "ftp://x" },
    { publicUrl: "https://x/?a" },
    { publicUrl: "/api" },
    { invoiceTtlMs: 999 },
    { invoiceTtlMs: 86_400_001 },
    { invoiceTtlMs: NaN },
    { minConfirmations: 0 },
    { minConfirmations: 1.5 },
    { verifierTimeoutMs: 0 },
  ]) {
    assert.throws(() => createX402({ ...base, ...wrong }), JSON.stringify(wrong));
  }
  const x402 = createX402(base);
  for (const price of ["0", "0.0", "1e18", "-1", "", 0.05 as unknown as string, 0n]) {
    assert.throws(() => x402.express({ price, description: "d" }), String(price));
  }
  for (const description of ["", "é", "a\nb", "a".repeat(201)]) assert.throws(() => x402.hono({ price: "1", description }));
  assert.throws(() => paymentOf(new Request("https://x.io")), TypeError);
});
