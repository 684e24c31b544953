// What a proof buys, once, by every adapter; and what becomes of attempts that fail.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import { type AttemptStore, MemoryAttempts, type Unanswered, type VerifiedPayment } from "../src/index.js";
import { PAYER, TX_HASH, unsignedProof } from "../../testing/proof.js";
import { ADAPTERS, Api, attempts, code, KEY, options, type Plan, PUBLIC_URL, verified, verifier } from "./scene.js";

const startPlain = ADAPTERS[2]?.[1];
if (startPlain === undefined) throw new Error("no plain adapter");

for (const [name, start] of ADAPTERS) {
  test(`${name}: a proof serves once, and never twice`, async () => {
    const asked = await verifier();
    const paid: VerifiedPayment[] = [];
    const api = await Api.start(start, options(asked, { onPaid: (payment) => paid.push(payment) }));
    const proof = await api.bought("GET /report?private=1", unsignedProof);
    const first = await api.send("GET /report?private=1", proof);
    assert.deepEqual([first.status, first.body, first.headers.get("cache-control")], [200, "served to pay_1", "private"]);
    const again = await api.send("GET /report?private=1", proof);
    assert.deepEqual(code(again), [402, "ALREADY_CLAIMED"]);
    assert.equal(paid.length, 1);
    assert.deepEqual(
      { ...paid[0] },
      {
        paymentId: "pay_1",
        invoiceId: paid[0]?.invoiceId,
        amount: 50_000_000_000_000_000n,
        payer: PAYER,
        txHash: TX_HASH,
        logIndex: 3,
        blockNumber: 9,
        confirmations: 1,
        finalized: false,
        resource: `GET ${PUBLIC_URL}/v1/report`,
        confirmed: true,
      },
    );
    const question = JSON.parse(asked.seen[0]?.body ?? "");
    assert.deepEqual([question.claim, question.amount, question.minConfirmations], [true, "0.05", 1]);
    assert.equal(asked.seen[0]?.headers.authorization, `Bearer ${KEY}`);
    assert.ok(!inspect(api.x402, { depth: 9, showHidden: true }).includes(KEY));
    api.close();
    asked.close();
  });

  test(`${name}: the verifier is told the trace that a request names, and nothing that is no trace`, async () => {
    const asked = await verifier();
    const api = await Api.start(start, options(asked));
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const states = ["vendor=1", "x".repeat(513)];
    for (const trace of [{ traceparent, tracestate: states[0] }, { traceparent, tracestate: states[1] }, { traceparent: "0", tracestate: states[0] }]) {
      await api.send("GET /report", await api.bought("GET /report", unsignedProof), undefined, trace as Record<string, string>);
    }
    const told = asked.seen.map(({ headers }) => [headers["traceparent"], headers["tracestate"]]);
    assert.deepEqual(told, [[traceparent, states[0]], [traceparent, undefined], [undefined, undefined]]);
    assert.ok(asked.seen.every(({ body }) => !body.includes("trace")));
    api.close();
    asked.close();
  });

  test(`${name}: a handler that fails leaves the payment usable`, async () => {
    const asked = await verifier();
    const plan: Plan = [500, "throw", 503];
    const api = await Api.start(start, options(asked), plan);
    const proof = await api.bought("GET /report", unsignedProof);
    const statuses = [];
    for (let round = 0; round < 4; round += 1) statuses.push((await api.send("GET /report", proof)).status);
    assert.deepEqual(statuses, [500, 500, 503, 200]);
    assert.equal(new Set(attempts(asked)).size, 1, "one attempt, so one claim");
    assert.deepEqual(code(await api.send("GET /report", proof)), [402, "ALREADY_CLAIMED"]);
    api.close();
    asked.close();
  });

  test(`${name}: a handler that refuses has answered`, async () => {
    const asked = await verifier();
    const api = await Api.start(start, options(asked), [404]);
    const proof = await api.bought("GET /report", unsignedProof);
    assert.equal((await api.send("GET /report", proof)).status, 404);
    assert.deepEqual(code(await api.send("GET /report", proof)), [402, "ALREADY_CLAIMED"]);
    api.close();
    asked.close();
  });

  test(`${name}: of requests at once with one proof one is served`, async () => {
    const asked = await verifier();
    const api = await Api.start(start, options(asked), [500]);
    const proof = await api.bought("GET /report", unsignedProof);
    await api.send("GET /report", proof);
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.send("GET /report", proof)));
    assert.equal(answers.filter((answer) => answer.status === 200).length, 1);
    api.close();
    asked.close();
  });

  test(`${name}: a payment does not start the handler for ever`, async () => {
    const asked = await verifier();
    const api = await Api.start(start, options(asked), Array<number>(20).fill(500));
    const proof = await api.bought("GET /report", unsignedProof);
    const statuses = [];
    for (let round = 0; round < 17; round += 1) statuses.push((await api.send("GET /report", proof)).status);
    assert.deepEqual(statuses, [...Array<number>(16).fill(500), 402]);
    api.close();
    asked.close();
  });
}

test("Express: a buyer who is cut off before an answer may try again", async () => {
  const asked = await verifier();
  const startExpress = ADAPTERS[0]?.[1];
  assert.ok(startExpress);
  const api = await Api.start(startExpress, options(asked), ["hang"]);
  const proof = await api.bought("GET /report", unsignedProof);
  await assert.rejects(api.send("GET /report", proof, AbortSignal.timeout(300)));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal((await api.send("GET /report", proof)).status, 200);
  api.close();
  asked.close();
});

test("another instance redeems what this one issued, and a rotated key what its predecessor did", async () => {
  const asked = await verifier();
  const one = await Api.start(startPlain, options(asked));
  const proof = await one.bought("GET /report", unsignedProof);
  const stranger = await Api.start(startPlain, options(asked, { apiKey: "x402_provider_0a_other" }));
  assert.deepEqual(code(await stranger.send("GET /report", proof)), [402, "INVOICE_MISMATCH"]);
  const rotated = await Api.start(startPlain, options(asked, { apiKey: "x402_provider_0a_other", previousApiKey: KEY }));
  assert.equal((await rotated.send("GET /report", proof)).status, 200);
  const proofOfOther = await one.bought("GET /report", unsignedProof);
  const other = await Api.start(startPlain, options(asked));
  assert.equal((await other.send("GET /report", proofOfOther)).status, 200);
  for (const api of [one, stranger, rotated, other]) api.close();
  asked.close();
});

test("an answer that contradicts the question serves nobody", async () => {
  const lies: Array<[string, unknown]> = [
    ["verified", "yes"],
    ["invoiceId", "inv_2"],
    ["amount", "0.049999999999999999"],
    ["amount", "0.06"],
    ["amount", 0.05],
    ["payTo", PAYER],
    ["resource", `GET ${PUBLIC_URL}/v1/other`],
    ["confirmations", 0],
    ["claimedAt", undefined],
    ["txHash", "0x07"],
    ["logIndex", -1],
    ["payer", undefined],
  ];
  for (const [field, lie] of lies) {
    const errors: string[] = [];
    const asked = await verifier((seen) => verified(seen, { [field]: lie }));
    const api = await Api.start(startPlain, options(asked, { onError: (message, cause) => errors.push(`${message}: ${cause}`) }));
    const proof = await api.bought("GET /report", unsignedProof);
    assert.deepEqual(code(await api.send("GET /report", proof)), [503, "VERIFIER_UNAVAILABLE"], field);
    assert.equal(errors.length, 1);
    assert.ok(!errors[0]?.includes(proof) && !errors[0]?.includes(KEY));
    api.close();
    asked.close();
  }
});

test("a verifier that is away is asked again about the same attempt", async () => {
  const asked = await verifier("hangUp", { status: 502 });
  const api = await Api.start(startPlain, options(asked));
  const proof = await api.bought("GET /report", unsignedProof);
  assert.equal((await api.send("GET /report", proof)).status, 200);
  assert.equal(asked.seen.length, 3);
  assert.equal(new Set(attempts(asked)).size, 1);
  api.close();
  asked.close();
});

test("a lost answer to a claim is not a lost claim", async () => {
  const asked = await verifier();
  const honest = asked.otherwise;
  let losses = 3;
  asked.otherwise = (seen) => {
    const answer = honest(seen);
    losses -= 1;
    return losses >= 0 ? "hangUp" : answer;
  };
  const api = await Api.start(startPlain, options(asked));
  const proof = await api.bought("GET /report", unsignedProof);
  const away = await api.send("GET /report", proof);
  assert.deepEqual(code(away), [503, "VERIFIER_UNAVAILABLE"]);
  assert.equal(away.headers.get("x-402-invoice-id"), null);
  assert.equal(JSON.parse(away.body).retryAfterMs, 2_000);
  assert.equal((await api.send("GET /report", proof)).status, 200);
  assert.equal(new Set(attempts(asked)).size, 1);
  api.close();
  asked.close();
});

test("an answer that no verifier gives is not believed and not asked for again", async () => {
  for (const reply of [
    { status: 200, body: "<html>" },
    { status: 200, body: { verified: false, errorCode: "WHATEVER" } },
    { status: 200, body: " ".repeat(20_000) },
    { status: 401, body: "" },
    { status: 404, body: "" },
    { status: 302, headers: { location: "https://verifier.example.com" } },
  ]) {
    const asked = await verifier(reply);
    const api = await Api.start(startPlain, options(asked));
    const proof = await api.bought("GET /report", unsignedProof);
    assert.deepEqual(code(await api.send("GET /report", proof)), [503, "VERIFIER_UNAVAILABLE"]);
    assert.equal(asked.seen.length, 1);
    api.close();
    asked.close();
  }
});

test("a silent verifier does not hold a request for ever", async () => {
  const asked = await verifier();
  asked.otherwise = () => ({ status: 200, afterMs: 60_000 });
  const api = await Api.start(startPlain, options(asked, { verifierTimeoutMs: 50 }));
  const proof = await api.bought("GET /report", unsignedProof);
  assert.deepEqual(code(await api.send("GET /report", proof)), [503, "VERIFIER_UNAVAILABLE"]);
  assert.equal(asked.seen.length, 3);
  api.close();
  asked.close();
});

test("after a restart a failed attempt is refused, and with a shared store it is served", async () => {
  const asked = await verifier();
  const shared = new MemoryAttempts();
  // As a store over a network would be.
  const slow: AttemptStore = {
    take: async (invoiceId) => shared.take(invoiceId),
    keep: async (invoiceId: string, attempt: Unanswered, ttl: number) => shared.keep(invoiceId, attempt, ttl),
  };
  for (const [stores, expected] of [
    [[undefined, undefined], 402],
    [[slow, slow], 200],
  ] as const) {
    const failing = await Api.start(startPlain, options(asked, stores[0] && { attempts: stores[0] }), [500]);
    const proof = await failing.bought("GET /report", unsignedProof);
    assert.equal((await failing.send("GET /report", proof)).status, 500);
    const restarted = await Api.start(startPlain, options(asked, stores[1] && { attempts: stores[1] }));
    assert.equal((await restarted.send("GET /report", proof)).status, expected);
    failing.close();
    restarted.close();
  }
  asked.close();
});

test("a store that fails turns the request away before anything is claimed", async () => {
  const asked = await verifier();
  const broken: AttemptStore = {
    take: () => Promise.reject(new Error("no store")),
    keep: () => undefined,
  };
  const api = await Api.start(startPlain, options(asked, { attempts: broken }));
  const proof = await api.bought("GET /report", unsignedProof);
  assert.deepEqual(code(await api.send("GET /report", proof)), [503, "VERIFIER_UNAVAILABLE"]);
  assert.deepEqual(asked.seen, []);
  api.close();
  asked.close();
});

test("hooks that throw cost nobody a payment", async () => {
  const asked = await verifier();
  const fail = (): never => {
    throw new Error("mine");
  };
  const api = await Api.start(startPlain, options(asked, { onPaid: fail, onRefused: fail }));
  const proof = await api.bought("GET /report", unsignedProof);
  assert.equal((await api.send("GET /report", proof)).status, 200);
  assert.deepEqual(code(await api.send("GET /report", proof)), [402, "ALREADY_CLAIMED"]);
  api.close();
  asked.close();
});

test("memory of failed attempts ends, the oldest first", () => {
  const memory = new MemoryAttempts();
  const attempt = { name: "a", runsLeft: 1 };
  memory.keep("inv_old", attempt, -1);
  assert.equal(memory.take("inv_old"), undefined);
  for (let index = 0; index <= 65_536; index += 1) memory.keep(`inv_${index}`, attempt, 60);
  assert.equal(memory.take("inv_0"), undefined);
  assert.deepEqual(memory.take("inv_1"), attempt);
  assert.equal(memory.take("inv_1"), undefined);
});
