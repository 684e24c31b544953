// Serving before the verifier has answered.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Confirmation, OfflineOptions } from "../src/index.js";
import { TOKEN } from "../../testing/proof.js";
import type { StandIn } from "../../testing/stand-in.js";
import { ADAPTERS, Api, attempts, code, options, type Plan, refused, signedProof, type SigningKey, signingKey, verified, verifier } from "./scene.js";

const start = ADAPTERS[2]?.[1];
if (start === undefined) throw new Error("no plain adapter");
const ISSUER = "https://gateway.example.com";

interface Scene {
  readonly api: Api;
  readonly key: SigningKey;
  readonly told: Confirmation[];
  readonly pay: (line: string, changes?: Record<string, unknown>) => Promise<string>;
}

async function scene(asked: StandIn & { keys: SigningKey[] }, changes: Partial<OfflineOptions> = {}, plan: Plan = []): Promise<Scene> {
  const key = signingKey("k1");
  asked.keys.push(key);
  const told: Confirmation[] = [];
  const offline = { upTo: "0.05", issuer: ISSUER, token: TOKEN, onConfirmation: (one: Confirmation) => told.push(one), ...changes };
  const api = await Api.start(start as NonNullable<typeof start>, options(asked, { offline }), plan);
  const now = Math.floor(Date.now() / 1_000);
  const pay = (line: string, more: Record<string, unknown> = {}): Promise<string> =>
    api.bought(line, (terms) => signedProof(key, { iss: ISSUER, iat: now, exp: now + 86_400, ...terms, ...more }));
  return { api, key, told, pay };
}

/** Questions about proofs, without those for keys. */
function questions(asked: StandIn): number {
  return asked.lines.filter((line) => line === "POST /verify").length;
}

test("a signed payment is served while the verifier is away, and claimed afterwards for the same attempt", async () => {
  const asked = await verifier();
  const honest = asked.otherwise;
  asked.otherwise = (seen) => (seen.line.startsWith("GET") ? honest(seen) : { ...(verified(seen) as object), status: 200, afterMs: 100 });
  const { api, told, pay } = await scene(asked);
  const answer = await api.send("GET /report", await pay("GET /report"));
  assert.deepEqual([answer.status, answer.body], [200, "served to pay_1, not confirmed yet"]);
  assert.equal(told.length, 0);
  await api.x402.confirmed();
  assert.deepEqual([told.length, told[0]?.outcome, told[0]?.payment.confirmations], [1, "confirmed", 1]);
  api.close();
  asked.close();
});

test("a payment is served once, however slow the verifier is", async () => {
  const asked = await verifier();
  const { api, pay } = await scene(asked);
  const proof = await pay("GET /report");
  assert.equal((await api.send("GET /report", proof)).status, 200);
  assert.deepEqual(code(await api.send("GET /report", proof)), [402, "ALREADY_CLAIMED"]);
  await api.x402.confirmed();
  assert.equal(questions(asked), 1);
  api.close();
  asked.close();
});

test("what the verifier says afterwards is told", async () => {
  const asked = await verifier();
  const { api, told, pay } = await scene(asked);
  const proof = await pay("GET /report");
  const honest = asked.otherwise;
  let pending = 2;
  asked.otherwise = (seen) => {
    if (seen.line.startsWith("GET")) return honest(seen);
    pending -= 1;
    return pending >= 0 ? refused("PAYMENT_PENDING", 1) : refused("PAYMENT_REVERTED");
  };
  assert.equal((await api.send("GET /report", proof)).status, 200);
  await api.x402.confirmed();
  assert.deepEqual([told[0]?.outcome, told[0]?.refusal], ["refused", "PAYMENT_REVERTED"]);
  api.close();
  asked.close();
});

test("what does not fit, costs more or is signed by nobody waits for the verifier", async () => {
  const past = Math.floor(Date.now() / 1_000) - 10;
  const table: Array<Record<string, unknown>> = [
    { iss: "https://other.example.com" },
    { asset: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" },
    { network: "eip155:1" },
    { payTo: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" },
    { amount: "49999999999999999" },
    { resource: "GET https://api.example.com/v1/other" },
    { exp: past },
    { iat: past + 400 },
  ];
  for (const change of table) {
    const asked = await verifier();
    const { api, told, pay } = await scene(asked);
    const answer = await api.send("GET /report", await pay("GET /report", change));
    assert.equal(answer.body, "served to pay_1", JSON.stringify(change));
    assert.equal(questions(asked), 1);
    assert.deepEqual(told, []);
    api.close();
    asked.close();
  }
  const asked = await verifier();
  const { api, key, pay } = await scene(asked);
  const dear = await api.send("GET /dear", await pay("GET /dear", { amount: "60000000000000000" }));
  assert.equal(dear.body, "served to pay_1");
  const forged = await api.bought("GET /report", (terms) => signedProof({ ...signingKey("k1"), kid: key.kid }, { iss: ISSUER, ...terms }));
  assert.equal((await api.send("GET /report", forged)).body, "served to pay_1");
  api.close();
  asked.close();
});

test("a failed attempt is repeated with the verifier's word", async () => {
  const asked = await verifier();
  const { api, pay } = await scene(asked, {}, [500]);
  const proof = await pay("GET /report");
  assert.equal((await api.send("GET /report", proof)).status, 500);
  await api.x402.confirmed();
  const again = await api.send("GET /report", proof);
  assert.equal(again.body, "served to pay_1");
  asked.seen.splice(0, asked.seen.findIndex((seen) => seen.line === "POST /verify"));
  assert.equal(new Set(attempts(asked)).size, 1);
  api.close();
  asked.close();
});

test("rotated keys are followed, and invented ones are no flood of questions", async () => {
  const asked = await verifier();
  const { api, pay } = await scene(asked, { keysMinRefetchMs: 200 });
  assert.match((await api.send("GET /report", await pay("GET /report"))).body, /not confirmed yet/);
  const now = Math.floor(Date.now() / 1_000);
  const signedBy = (key: SigningKey): Promise<string> =>
    api.bought("GET /report", (terms) => signedProof(key, { iss: ISSUER, iat: now, exp: now + 100, ...terms }));
  const invented = signingKey("k9");
  for (let round = 0; round < 5; round += 1) assert.equal((await api.send("GET /report", await signedBy(invented))).body, "served to pay_1");
  const readings = (): number => asked.lines.filter((line) => line.startsWith("GET")).length;
  assert.ok(readings() <= 2, `${readings()} readings`);
  const second = signingKey("k2");
  asked.keys.push(second);
  await new Promise((resolve) => setTimeout(resolve, 250));
  assert.match((await api.send("GET /report", await signedBy(second))).body, /not confirmed yet/);
  await api.x402.confirmed();
  api.close();
  asked.close();
});

test("without keys everything waits for the verifier", async () => {
  const asked = await verifier();
  const { api, pay } = await scene(asked);
  asked.keys.length = 0;
  assert.equal((await api.send("GET /report", await pay("GET /report"))).body, "served to pay_1");
  api.close();
  asked.close();
});
