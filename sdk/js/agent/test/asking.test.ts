// Before anything is paid: what is asked for, and what is refused.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  AmountError,
  createAgentClient,
  DENIALS,
  extractInvoice,
  GatewayError,
  InvoiceError,
  PaymentDeniedError,
  TooExpensiveError,
  UnusableRequestError,
} from "../src/index.js";
import { type Reply, StandIn, withServers } from "../../testing/stand-in.js";
import { client, errorOf, KEY, ORDER, orderUrl, paymentRequired, proofFor, QUOTED, REPORT, settled } from "./scene.js";

test("a free answer costs nothing", async () => {
  for (const status of [200, 301, 404, 500]) {
    const provider = await StandIn.answering({ status, body: "free", headers: { location: "http://127.0.0.1:1/" } });
    const gateway = await StandIn.answering();
    await withServers([provider, gateway], async () => {
      const response = await client(gateway).fetchWithX402(orderUrl(provider), ORDER);
      assert.equal(response.status, status);
      assert.equal(await response.text(), "free");
      assert.deepEqual(gateway.seen, []);
    });
  }
});

test("one unit above the limit is refused before anybody is asked", async () => {
  const provider = await StandIn.answering(paymentRequired({ "x-402-amount": "0.050000000000000001" }));
  const gateway = await StandIn.answering();
  await withServers([provider, gateway], async () => {
    const error = await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), TooExpensiveError);
    assert.equal(error.limit, 50_000_000_000_000_000n);
    assert.equal(error.money, "none");
    assert.deepEqual(gateway.seen, []);
    assert.equal(provider.seen.length, 1);
  });
});

test("the client's own total is never passed, whatever fails in between", async () => {
  const provider = await StandIn.answering();
  const gateway = await StandIn.answering();
  await withServers([provider, gateway], async () => {
    const agent = client(gateway, { maxTotal: "0.1" });
    const buy = (id: string): Promise<Response> => {
      provider.next(paymentRequired({ "x-402-invoice-id": id }));
      return agent.fetchWithX402(orderUrl(provider), ORDER);
    };
    const buyAndGet = async (id: string): Promise<void> => {
      gateway.next(QUOTED, settled(proofFor(provider, { invoiceId: id })));
      const bought = buy(id);
      provider.next(REPORT);
      assert.equal((await bought).status, 200);
    };
    await buyAndGet("inv_a");
    assert.equal(agent.spent(), 50_000_000_000_000_000n);
    // A denial gives its share back.
    gateway.next({ status: 403, body: { allowed: false, reason: "RATE_LIMITED", message: "m" } });
    await errorOf(buy("inv_b"), PaymentDeniedError);
    assert.equal(agent.spent(), 50_000_000_000_000_000n);
    await buyAndGet("inv_c");
    assert.equal(agent.spent(), 100_000_000_000_000_000n);
    await errorOf(buy("inv_d"), TooExpensiveError);
  });
});

test("a total that is used up buys nothing more", async () => {
  const provider = await StandIn.answering(paymentRequired(), REPORT, paymentRequired({ "x-402-invoice-id": "inv_2" }));
  const gateway = await StandIn.answering(QUOTED, settled(proofFor(provider)));
  await withServers([provider, gateway], async () => {
    const agent = client(gateway, { maxTotal: "0.099999999999999999" });
    await agent.fetchWithX402(orderUrl(provider), ORDER);
    const error = await errorOf(agent.fetchWithX402(orderUrl(provider), ORDER), TooExpensiveError);
    assert.equal(error.limit, 49_999_999_999_999_999n);
    assert.deepEqual(gateway.lines, ["POST /quote", "POST /pay"]);
  });
});

test("a body that cannot be sent again is refused before the first send", async () => {
  const provider = await StandIn.answering();
  const gateway = await StandIn.answering();
  await withServers([provider, gateway], async () => {
    const agent = client(gateway);
    const stream = (bytes: number): ReadableStream => new Blob(["x".repeat(bytes)]).stream() as ReadableStream;
    async function* parts(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(1);
    }
    for (const body of [stream(1), parts() as unknown as BodyInit]) {
      const init = { method: "POST", body, duplex: "half" } as RequestInit;
      const error = await errorOf(agent.fetchWithX402(orderUrl(provider), init), UnusableRequestError);
      assert.equal(error.code, "NOT_REPLAYABLE");
    }
    const endless = new Request(orderUrl(provider), { method: "POST", body: "x".repeat(1_024 * 1_024 + 1) });
    assert.equal((await errorOf(agent.fetchWithX402(endless), UnusableRequestError)).code, "BODY_TOO_LARGE");
    const carrying = { headers: { "X-402-Proof": "a.b.c" } };
    assert.equal((await errorOf(agent.fetchWithX402(orderUrl(provider), carrying), UnusableRequestError)).code, "CARRIES_PROOF");
    assert.deepEqual(provider.seen, []);
  });
});

test("every body that can be sent again arrives twice as it is", async () => {
  const form = new FormData();
  form.set("a", "b");
  const bodies: Array<[BodyInit, string]> = [
    ["the order", "the order"],
    [new TextEncoder().encode("the order"), "the order"],
    [new TextEncoder().encode("the order").buffer as ArrayBuffer, "the order"],
    [new URLSearchParams({ a: "b" }), "a=b"],
    [new Blob(["the order"]), "the order"],
    [form, "a"],
  ];
  for (const [body, expected] of bodies) {
    const provider = await StandIn.answering(paymentRequired(), REPORT);
    const gateway = await StandIn.answering(QUOTED, settled(proofFor(provider)));
    await withServers([provider, gateway], async () => {
      const response = await client(gateway).fetchWithX402(orderUrl(provider), { method: "POST", body });
      assert.equal(response.status, 200);
      assert.equal(provider.seen.length, 2);
      assert.ok(provider.seen.every((seen) => seen.body.includes(expected)), String(body));
      assert.equal(provider.seen[0]?.headers["content-type"]?.slice(0, 20), provider.seen[1]?.headers["content-type"]?.slice(0, 20));
    });
  }
});

test("a Request object is bought with its method, headers and body", async () => {
  const provider = await StandIn.answering(paymentRequired(), REPORT);
  const gateway = await StandIn.answering(QUOTED, settled(proofFor(provider)));
  await withServers([provider, gateway], async () => {
    const request = new Request(orderUrl(provider), { method: "post", body: "the order", headers: { "x-mine": "1" } });
    await client(gateway).fetchWithX402(request);
    for (const seen of provider.seen) {
      assert.deepEqual([seen.line, seen.body, seen.headers["x-mine"]], ["POST /report?private=1", "the order", "1"]);
    }
    assert.equal(provider.seen.length, 2);
  });
});

test("a 402 without an invoice is not paid, and what it says cannot command a terminal", async () => {
  const provider = await StandIn.answering({ status: 402, body: "insert \u001b[31mcoin" });
  const gateway = await StandIn.answering();
  await withServers([provider, gateway], async () => {
    const error = await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), InvoiceError);
    assert.deepEqual([error.problem, error.header, error.body], ["MISSING", "x-402-invoice-id", "insert  [31mcoin"]);
    assert.deepEqual(gateway.seen, []);
  });
});

test("a header sent twice is refused", async () => {
  for (const name of ["x-402-invoice-id", "x-402-amount", "x-402-pay-to", "x-402-network", "x-402-currency"]) {
    const value = paymentRequired() as { headers: Record<string, string> };
    const twice = [value.headers[name] ?? "", value.headers[name] ?? ""];
    const provider = await StandIn.answering(paymentRequired({ [name]: twice }));
    const gateway = await StandIn.answering();
    await withServers([provider, gateway], async () => {
      await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), InvoiceError);
      assert.deepEqual(gateway.seen, []);
    });
  }
});

test("each denial comes back with its code and message", async () => {
  for (const reason of DENIALS) {
    const provider = await StandIn.answering(paymentRequired());
    const gateway = await StandIn.answering({ status: 403, body: { allowed: false, reason, message: "the limit is 1" } });
    await withServers([provider, gateway], async () => {
      const error = await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), PaymentDeniedError);
      assert.equal(error.reason, reason);
      assert.match(error.message, /the limit is 1/);
      assert.equal(error.money, "none");
      assert.deepEqual(gateway.lines, ["POST /quote"]);
    });
  }
});

test("a gateway that talks nonsense is not believed", async () => {
  const table: Array<[{ status: number; body: unknown }, string]> = [
    [{ status: 200, body: "<html>" }, "UNREADABLE"],
    [{ status: 200, body: " ".repeat(70_000) }, "TOO_LARGE"],
    [{ status: 200, body: { ...(QUOTED as { body: object }).body, allowed: false } }, "UNREADABLE"],
    [{ status: 302, body: "" }, "UNREADABLE"],
    [{ status: 401, body: { error: "UNAUTHORIZED", message: "m" } }, "UNAUTHORIZED"],
    [{ status: 429, body: { error: "TOO_MANY_REQUESTS", message: "slower" } }, "REFUSED"],
  ];
  for (const [reply, trouble] of table) {
    const provider = await StandIn.answering(paymentRequired());
    const gateway = await StandIn.answering({ ...reply, headers: { location: provider.url } });
    await withServers([provider, gateway], async () => {
      const error = await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), GatewayError);
      assert.equal(error.trouble, trouble);
      assert.equal(provider.seen.length, 1, "redirects of the gateway are not followed");
    });
  }
});

test("a quote is asked for again when the gateway is briefly away", async () => {
  const provider = await StandIn.answering(paymentRequired(), REPORT);
  const gateway = await StandIn.answering({ status: 503 }, "hangUp", QUOTED, settled(proofFor(provider)));
  await withServers([provider, gateway], async () => {
    const response = await client(gateway).fetchWithX402(orderUrl(provider), ORDER);
    assert.equal(response.status, 200);
  });
});

test("a gateway that hears too much is asked again in its time", async () => {
  const busy = (seconds: string): Reply => ({ status: 429, body: { error: "TOO_MANY_REQUESTS", message: "slower" }, headers: { "retry-after": seconds } });
  const provider = await StandIn.answering(paymentRequired(), REPORT);
  const gateway = await StandIn.answering(busy("1"), QUOTED, busy("0"), busy("0"), settled(proofFor(provider)));
  await withServers([provider, gateway], async () => {
    const response = await client(gateway).fetchWithX402(orderUrl(provider), ORDER);
    assert.equal(response.status, 200);
  });
  // Not for hours, and not for ever.
  for (const [script, asked] of [[[busy("3600")], 1], [[busy("0"), busy("0"), busy("0"), busy("0")], 3]] as const) {
    const provider = await StandIn.answering(paymentRequired());
    const gateway = await StandIn.answering(...script);
    await withServers([provider, gateway], async () => {
      const error = await errorOf(client(gateway).fetchWithX402(orderUrl(provider), ORDER), GatewayError);
      assert.deepEqual([error.reason, error.money, gateway.seen.length], ["TOO_MANY_REQUESTS", "none", asked]);
    });
  }
});

test("a gateway that would show the key is refused", () => {
  const make = (gatewayUrl: string, apiKey = KEY): unknown => createAgentClient({ gatewayUrl, apiKey, maxAmount: "1" });
  for (const url of ["https://gateway.example.com", "http://127.0.0.1:4020", "http://localhost:1/x402", "http://[::1]:1"]) make(url);
  for (const url of [
    "http://gateway.example.com",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://0.0.0.0",
    "ftp://localhost",
    "https://user@example.com",
    "https://example.com?key=1",
    "https://example.com/#x",
    "nonsense",
  ]) {
    assert.throws(() => make(url), TypeError, url);
  }
  for (const key of ["", "a b", "a\nb", "é"]) assert.throws(() => make("https://gateway.example.com", key), TypeError);
});

test("no float ever touches money", () => {
  const make = (maxAmount: unknown): unknown =>
    createAgentClient({ gatewayUrl: "https://g.example", apiKey: KEY, maxAmount: maxAmount as string });
  for (const amount of [0.05, 1, -1n, "1e18", "0x10", "", "1_000", ".5", "5."]) assert.throws(() => make(amount), AmountError);
  make("0.05");
  make(50_000_000_000_000_000n);
});

test("a provider that falls silent does not hold us", async () => {
  const provider = await StandIn.answering({ status: 200, afterMs: 5_000 });
  const gateway = await StandIn.answering();
  await withServers([provider, gateway], async () => {
    await assert.rejects(client(gateway, { silenceMs: 100 }).fetchWithX402(orderUrl(provider)), { name: "TimeoutError" });
  });
});

test("an aborted request is what fetch makes of it, and nothing is paid", async () => {
  const provider = await StandIn.answering(paymentRequired());
  const gateway = await StandIn.answering({ ...(QUOTED as object), status: 200, afterMs: 5_000 });
  await withServers([provider, gateway], async () => {
    const agent = client(gateway);
    await assert.rejects(agent.fetchWithX402(orderUrl(provider), { signal: AbortSignal.abort() }), { name: "AbortError" });
    assert.deepEqual(provider.seen, []);
    // While the quote is being asked for.
    await assert.rejects(agent.fetchWithX402(orderUrl(provider), { signal: AbortSignal.timeout(200) }), { name: "TimeoutError" });
    assert.deepEqual(gateway.lines, ["POST /quote"]);
    assert.equal(agent.spent(), 0n);
  });
});

test("an invoice is read from any 402, given the request that it answers", () => {
  const reply = paymentRequired() as { headers: Record<string, string> };
  const response = new Response(null, { status: 402, headers: reply.headers });
  const invoice = extractInvoice(response, { method: "GET", url: "https://me:secret@api.example.com/report?private=1#x" });
  assert.equal(invoice.resource, "GET https://api.example.com/report");
  assert.equal(invoice.amount, 50_000_000_000_000_000n);
  assert.throws(() => extractInvoice(response), InvoiceError, "a made-up answer has no URL");
});
