// While the gateway pays: failures, waiting, lost answers, and callers who retry or leave.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  GatewayError,
  PAYMENT_FAILURES,
  PaymentFailedError,
  PaymentPendingError,
  PaymentUnknownError,
  type Step,
  WrongProofError,
} from "../src/index.js";
import { type Reply, StandIn, withServers } from "../../testing/stand-in.js";
import { client, errorOf, ORDER, orderUrl, paymentRequired, pending, proofFor, QUOTED, REPORT, settled, view } from "./scene.js";

test("each payment failure comes back with its code and nothing more is sent", async () => {
  for (const [index, reason] of PAYMENT_FAILURES.entries()) {
    const status = [200, 400, 402, 409, 410, 404, 422, 503, 403, 500][index] ?? 400;
    const provider = await StandIn.answering(paymentRequired());
    const gateway = await StandIn.answering(QUOTED, { status, body: { success: false, error: reason, message: "why" } });
    await withServers([provider, gateway], async () => {
      const agent = client(gateway);
      const error = await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), PaymentFailedError);
      assert.deepEqual([error.reason, error.money], [reason, "none"]);
      assert.deepEqual(gateway.lines, ["POST /quote", "POST /pay"]);
      assert.equal(provider.seen.length, 1);
      assert.equal(agent.spent(), 0n);
    });
  }
});

test("a pending payment is asked for until it settles, in the gateway's time", async () => {
  const provider = await StandIn.answering(paymentRequired(), REPORT);
  const proof = proofFor(provider);
  const gateway = await StandIn.answering(QUOTED, pending(300), view(provider, "broadcast"), view(provider, "settled", { proof }));
  await withServers([provider, gateway], async () => {
    const steps: Step[] = [];
    const begin = performance.now();
    const response = await client(gateway, { onStep: (step) => steps.push(step) }).fetchWithX402(orderUrl(provider), ORDER);
    assert.equal(response.status, 200);
    assert.ok(performance.now() - begin >= 300);
    assert.deepEqual(gateway.lines, ["POST /quote", "POST /pay", "GET /payments/pay_1", "GET /payments/pay_1"]);
    assert.deepEqual(
      steps.map(({ step }) => step),
      ["requested", "paymentRequired", "quoted", "paying", "paying", "paid", "served"],
    );
  });
});

test("a payment that is pending at the deadline can be resumed by its id", async () => {
  const provider = await StandIn.answering(paymentRequired(), REPORT);
  const gateway = await StandIn.answering(QUOTED, pending(60_000, "APPROVAL_REQUIRED"));
  await withServers([provider, gateway], async () => {
    const error = await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), PaymentPendingError);
    assert.deepEqual([error.paymentId, error.reason, error.money], ["pay_1", "APPROVAL_REQUIRED", "moving"]);
    assert.ok(error.txHash);
    const proof = proofFor(provider);
    gateway.next(view(provider, "settled", { proof }), view(provider, "settled", { proof }));
    const response = await client(gateway).resume(error.paymentId, orderUrl(provider), ORDER);
    assert.equal(response.status, 200);
    assert.equal(gateway.lines.filter((line) => line === "POST /pay").length, 1);
    assert.equal(provider.seen[1]?.headers["x-402-proof"], proof);
  });
});

test("a caller who only retries what failed buys once", async () => {
  const provider = await StandIn.answering(paymentRequired());
  const gateway = await StandIn.answering(QUOTED, pending(60_000));
  await withServers([provider, gateway], async () => {
    const agent = client(gateway);
    await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), PaymentPendingError);
    // Another request is another purchase, and is not mistaken for this one.
    provider.next({ status: 200, body: "free" });
    const other = await agent.fetchWithX402(orderUrl(provider), { ...ORDER, body: "another order" });
    assert.equal(await other.text(), "free");
    gateway.next(view(provider, "settled", { proof: proofFor(provider) }));
    provider.next("hangUp", REPORT);
    await assert.rejects(agent.fetchWithX402(orderUrl(provider), ORDER), { name: "NotServedError", money: "paid" });
    const response = await agent.fetchWithX402(orderUrl(provider), ORDER);
    assert.equal(await response.text(), "the report");
    assert.deepEqual(gateway.lines, ["POST /quote", "POST /pay", "GET /payments/pay_1"]);
    assert.equal(agent.spent(), 50_000_000_000_000_000n);
  });
});

test("a pending payment that fails is an error with its code, and its amount is free again", async () => {
  const provider = await StandIn.answering(paymentRequired());
  const gateway = await StandIn.answering(QUOTED, pending(100), view(provider, "failed", { error: "TOKEN_PAUSED", message: "m" }));
  await withServers([provider, gateway], async () => {
    const agent = client(gateway);
    const error = await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), PaymentFailedError);
    assert.equal(error.reason, "TOKEN_PAUSED");
    assert.equal(agent.spent(), 0n);
  });
});

test("a lost answer to pay is asked for again with the same quote", async () => {
  for (const lost of ["hangUp", { status: 502, body: "bad gateway" }, { status: 200, body: "{" }] as Reply[]) {
    const provider = await StandIn.answering(paymentRequired(), REPORT);
    const gateway = await StandIn.answering(QUOTED, lost, settled(proofFor(provider)));
    await withServers([provider, gateway], async () => {
      const response = await client(gateway).fetchWithX402(orderUrl(provider), ORDER);
      assert.equal(response.status, 200);
      assert.equal(gateway.seen.length, 3);
      for (const asked of gateway.seen.slice(1)) {
        assert.deepEqual([asked.line, JSON.parse(asked.body).quoteId], ["POST /pay", "quote_1"]);
      }
    });
  }
});

test("a payment whose fate is unknown is not called failed, and a retry asks for the same quote", async () => {
  const unauthorized: Reply = { status: 401, body: { error: "UNAUTHORIZED", message: "m" } };
  const endings: Reply[][] = [
    ["hangUp", "hangUp", { status: 500 }, "hangUp"],
    ["hangUp", unauthorized],
  ];
  for (const ending of endings) {
    const provider = await StandIn.answering(paymentRequired());
    const gateway = await StandIn.answering(QUOTED, ...ending);
    await withServers([provider, gateway], async () => {
      const agent = client(gateway, { deadlineMs: 5_000 });
      const error = await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), PaymentUnknownError);
      assert.deepEqual([error.quote.quoteId, error.money], ["quote_1", "unknown"]);
      assert.equal(gateway.seen.length, ending.length + 1);
      // A retry that gets no answer either leaves it unknown.
      gateway.next(unauthorized);
      await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), PaymentUnknownError);
      gateway.next(settled(proofFor(provider)));
      provider.next(REPORT);
      const response = await agent.fetchWithX402(orderUrl(provider), ORDER);
      assert.equal(response.status, 200);
      assert.equal(gateway.lines.filter((line) => line === "POST /quote").length, 1);
    });
  }
});

test("refused at once, nothing was in doubt", async () => {
  const provider = await StandIn.answering(paymentRequired());
  const gateway = await StandIn.answering(QUOTED, { status: 401, body: { error: "UNAUTHORIZED", message: "m" } });
  await withServers([provider, gateway], async () => {
    const error = await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), GatewayError);
    assert.deepEqual([error.trouble, error.money], ["UNAUTHORIZED", "none"]);
  });
});

test("who leaves while money may move is told how to go on", async () => {
  const provider = await StandIn.answering(paymentRequired());
  const gateway = await StandIn.answering(QUOTED, { ...(settled(proofFor(provider)) as object), status: 200, afterMs: 5_000 });
  await withServers([provider, gateway], async () => {
    const agent = client(gateway);
    const leaving = { ...ORDER, signal: AbortSignal.timeout(300) };
    const error = await errorOf(agent.fetchWithX402(orderUrl(provider), leaving), PaymentUnknownError);
    assert.equal((error.cause as Error).name, "TimeoutError");
    gateway.next(settled(proofFor(provider)));
    const paid = await agent.pay(error.quote);
    assert.equal(paid.paymentId, "pay_1");
    assert.equal(agent.spent(), 50_000_000_000_000_000n, "one invoice counts once");
  });
});

test("a proof of another invoice is of no use, and is not paid for twice", async () => {
  const mixUps = [
    { invoiceId: "inv_2" },
    { amount: "50000000000000001" },
    { payTo: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" },
    { network: "eip155:1" },
    { resource: "GET https://other.example.com/report" },
  ];
  for (const mixUp of mixUps) {
    const provider = await StandIn.answering(paymentRequired());
    const gateway = await StandIn.answering(QUOTED, settled(proofFor(provider, mixUp)));
    await withServers([provider, gateway], async () => {
      const agent = client(gateway);
      const error = await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), WrongProofError);
      assert.equal(error.paymentId, "pay_1");
      assert.equal(provider.seen.length, 1);
    });
  }
});
