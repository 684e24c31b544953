// A trace that the caller names.

import assert from "node:assert/strict";
import { test } from "node:test";

import { StandIn, withServers } from "../../testing/stand-in.js";
import { client, ORDER, orderUrl, paymentRequired, pending, proofFor, QUOTED, REPORT, view } from "./scene.js";

const TRACE = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", tracestate: "vendor=1" };

test("the trace that a request names is told to provider and gateway, with every question", async () => {
  const provider = await StandIn.answering(paymentRequired(), REPORT);
  const proof = proofFor(provider);
  const gateway = await StandIn.answering(QUOTED, pending(100), view(provider, "settled", { proof }));
  await withServers([provider, gateway], async () => {
    const response = await client(gateway).fetchWithX402(orderUrl(provider), { ...ORDER, headers: TRACE });
    assert.equal(response.status, 200);
    assert.deepEqual([provider.seen.length, gateway.seen.length], [2, 3]);
    for (const { line, headers } of [...provider.seen, ...gateway.seen]) {
      assert.deepEqual([headers["traceparent"], headers["tracestate"]], [TRACE.traceparent, TRACE.tracestate], line);
    }
  });
});
