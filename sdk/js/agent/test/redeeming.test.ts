// After the payment: the proof, where it goes and what is made of the answer.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import { REFUSALS } from "../../protocol/src/codes.js";
import { NotServedError, parsePaid, paymentOf, ProofRefusedError, UnusableRequestError } from "../src/index.js";
import { type Reply, StandIn, withServers } from "../../testing/stand-in.js";
import { client, errorOf, KEY, ORDER, orderUrl, paymentRequired, proofFor, QUOTED, REPORT, settled } from "./scene.js";

async function paying(...replies: Reply[]): Promise<[StandIn, StandIn]> {
  const provider = await StandIn.answering(paymentRequired(), ...replies);
  return [provider, await StandIn.answering(QUOTED, settled(proofFor(provider)))];
}

test("a 402 is paid and the request sent again with the proof", async () => {
  const [provider, gateway] = await paying(REPORT);
  await withServers([provider, gateway], async () => {
    const response = await client(gateway).fetchWithX402(orderUrl(provider), ORDER);
    assert.equal(await response.text(), "the report");
    const paid = paymentOf(response);
    assert.ok(paid);
    assert.equal(paid.invoice.amount, 50_000_000_000_000_000n);
    assert.equal(paid.proof.claims.blockNumber, 9);
    assert.equal(parsePaid(paid.proof.text).paymentId, paid.paymentId);
    assert.deepEqual(
      provider.seen.map((seen) => [seen.line, seen.body, seen.headers["x-402-proof"]]),
      [
        ["POST /report?private=1", "the order", undefined],
        ["POST /report?private=1", "the order", paid.proof.text],
      ],
    );
    assert.deepEqual(gateway.lines, ["POST /quote", "POST /pay"]);
    assert.deepEqual(JSON.parse(gateway.seen[0]?.body ?? ""), {
      invoiceId: "inv_1",
      amount: "0.05",
      payTo: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
      network: "devnet",
      description: "a report",
      providerUrl: `${provider.url}/report`,
      method: "POST",
    });
  });
});

test("the key goes to the gateway only and neither key nor proof is shown", async () => {
  const [provider, gateway] = await paying({ status: 503, body: "down" });
  await withServers([provider, gateway], async () => {
    const agent = client(gateway);
    const error = await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), NotServedError);
    assert.ok(!JSON.stringify(provider.seen).includes(KEY));
    assert.ok(gateway.seen.every((seen) => seen.headers.authorization === `Bearer ${KEY}`));
    const shown = inspect([agent, error], { depth: 9, showHidden: true });
    assert.ok(!shown.includes(KEY));
    assert.ok(!shown.includes(error.paid.proof.text));
    assert.ok(!`${error.paid.proof}${JSON.stringify(error.paid.proof)}`.includes(error.paid.proof.text));
  });
});

test("a second 402 is an error and never a second payment", async () => {
  const refused = paymentRequired({ "x-402-invoice-id": "inv_2" }) as { status: number };
  const [provider, gateway] = await paying({ ...refused, body: { error: "ALREADY_CLAIMED", message: "used" } });
  await withServers([provider, gateway], async () => {
    const error = await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), ProofRefusedError);
    assert.equal(error.reason, "ALREADY_CLAIMED");
    assert.equal(error.paid.paymentId, "pay_1");
    assert.deepEqual(gateway.lines, ["POST /quote", "POST /pay"]);
  });
});

test("each refusal of a proof comes back with its code and the payment", async () => {
  for (const code of REFUSALS.filter((code) => code !== "PAYMENT_PENDING")) {
    const again = paymentRequired({ "x-402-invoice-id": "inv_2" }) as { status: number };
    const [provider, gateway] = await paying({ ...again, body: { error: code, message: "m" } });
    await withServers([provider, gateway], async () => {
      const agent = client(gateway);
      const error = await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), ProofRefusedError);
      assert.deepEqual([error.reason, error.money, error.paid.paymentId], [code, "paid", "pay_1"]);
      assert.equal(agent.spent(), 50_000_000_000_000_000n);
      assert.equal(gateway.lines.length, 2);
    });
  }
});

test("a proof that cannot be verified yet is sent again, and nothing is paid meanwhile", async () => {
  const [provider, gateway] = await paying(
    { status: 503, body: { error: "PAYMENT_PENDING", message: "m", retryAfterMs: 150 } },
    { status: 503, body: { error: "VERIFIER_UNAVAILABLE", message: "m", retryAfterMs: 0 } },
    REPORT,
  );
  await withServers([provider, gateway], async () => {
    const begin = performance.now();
    const response = await client(gateway).fetchWithX402(orderUrl(provider), ORDER);
    assert.equal(response.status, 200);
    assert.ok(performance.now() - begin >= 250);
    assert.equal(provider.seen.length, 4);
    assert.equal(gateway.seen.length, 2);
  });
});

test("any other trouble of the provider gives the payment back to try again with", async () => {
  const troubles: Reply[] = [
    "hangUp",
    { status: 500, body: { error: "PAYMENT_PENDING" } },
    { status: 503, body: { error: "OVERLOADED" } },
    { status: 503, body: { error: "PAYMENT_PENDING", retryAfterMs: 60_000 } },
  ];
  for (const trouble of troubles) {
    const [provider, gateway] = await paying(trouble);
    await withServers([provider, gateway], async () => {
      const agent = client(gateway);
      const error = await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), NotServedError);
      provider.next(REPORT);
      const response = await agent.retryWithProof(error.paid, orderUrl(provider), ORDER);
      assert.equal(response.status, 200);
      assert.equal(gateway.lines.length, 2);
    });
  }
});

test("the proof goes to the method and URL that were paid for and nowhere else", async () => {
  const [provider, gateway] = await paying({ status: 307, headers: { location: "/elsewhere" } });
  await withServers([provider, gateway], async () => {
    const agent = client(gateway);
    const response = await agent.fetchWithX402(orderUrl(provider), ORDER);
    assert.equal(response.status, 307);
    assert.equal(provider.seen.length, 2);
    const paid = paymentOf(response);
    assert.ok(paid);
    for (const [url, init] of [
      [`${provider.url}/other`, ORDER],
      [orderUrl(provider), { method: "GET" }],
      [orderUrl(provider).replace("127.0.0.1", "localhost"), ORDER],
    ] as Array<[string, RequestInit]>) {
      const refused: UnusableRequestError = await errorOf(agent.retryWithProof(paid, url, init), UnusableRequestError);
      assert.equal(refused.code, "OTHER_RESOURCE");
    }
    assert.equal(provider.seen.length, 2);
  });
});

test("the steps by hand are the steps of a purchase", async () => {
  const [provider, gateway] = await paying(REPORT);
  await withServers([provider, gateway], async () => {
    const agent = client(gateway);
    const answer = await fetch(orderUrl(provider), ORDER);
    assert.ok(agent.isPaymentRequired(answer));
    const quote = await agent.quoteFromResponse(answer, { method: "POST" });
    assert.equal(quote.remaining.workspaceMonthly, 3_500_000_000_000_000_000n);
    const paid = await agent.pay(quote);
    const response = await agent.retryWithProof(paid, orderUrl(provider), ORDER);
    assert.equal(await response.text(), "the report");
  });
});

test("a watcher that throws costs the buyer nothing", async () => {
  const [provider, gateway] = await paying(REPORT);
  await withServers([provider, gateway], async () => {
    const onStep = (): void => {
      throw new Error("mine");
    };
    const response = await client(gateway, { onStep }).fetchWithX402(orderUrl(provider), ORDER);
    assert.equal(response.status, 200);
  });
});
