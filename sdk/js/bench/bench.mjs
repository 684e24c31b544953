// What the packages cost: npm run bench [rounds]
//
// Everything runs in this process but the verifier and the provider, which are processes of their own that answer as real
// ones do, without work. Variants take turns, request by request, so that what the machine does meanwhile hits all alike.
// Each proof is another one. The figures are differences and ratios of the same run.

import { fork } from "node:child_process";
import { Agent, createServer, request as ask } from "node:http";
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";

import express from "express";
import { createAgentClient } from "@x402/agent";
import { createX402, paymentOf } from "@x402/server";

const PAY_TO = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const HASH = `0x${"07".repeat(32)}`;
const WARM_UP = 2_000;
const keepAlive = new Agent({ keepAlive: true });

if (process.argv[2] === "peer") await peer();
else await main(Number(process.argv[2] ?? 10_000));

/** A verifier and a provider of free things. */
async function peer() {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(request.method === "GET" ? '{"free":true}' : JSON.stringify(verified(JSON.parse(Buffer.concat(chunks)))));
    });
  });
  server.listen(0, "127.0.0.1", () => process.send(server.address().port));
}

function verified({ invoiceId, amount, payTo, resource }) {
  const at = "2026-01-01T00:00:00Z";
  const facts = { txHash: HASH, logIndex: 3, blockNumber: 9, blockHash: HASH, confirmations: 1, finalized: false, payer: PAY_TO };
  return { verified: true, paymentId: "pay_1", invoiceId, amount, payTo, resource, paidAt: at, claimedAt: at, ...facts };
}

async function main(rounds) {
  const child = fork(fileURLToPath(import.meta.url), ["peer"]);
  const [port] = await once(child, "message");
  const peerUrl = `http://127.0.0.1:${port}`;
  try {
    await serverFigures(peerUrl, rounds);
    await agentFigures(peerUrl, rounds);
  } finally {
    child.kill();
  }
}

/** The middleware, against the same route for nothing and the verifier's own answer, asked over the same kind of connection. Beside them
 * routes that ask the verifier by themselves and check nothing, over a kept connection and by `fetch`. */
async function serverFigures(verifierUrl, rounds) {
  const publicUrl = "https://api.example.com";
  const x402 = createX402({ verifierUrl, apiKey: "x402_provider_0b_bench", payTo: PAY_TO, network: "devnet", publicUrl });
  const app = express();
  const report = (request, response) => response.json({ paidBy: paymentOf(request).payer });
  app.get("/paid", x402.express({ price: "0.05", description: "a report" }), report);
  const headers = { authorization: "Bearer x402_provider_0b_bench", "content-type": "application/json" };
  const questionOf = (proof) => JSON.stringify({ ...question, proof, attempt: "0".repeat(32) });
  const overKept = async (proof) => JSON.parse(await post(`${verifierUrl}/verify`, headers, questionOf(proof)));
  const byFetch = async (proof) => {
    const signal = AbortSignal.timeout(5_000);
    return (await fetch(`${verifierUrl}/verify`, { method: "POST", headers, body: questionOf(proof), signal })).json();
  };
  const asking = (ask) => async (request, response) => {
    const answer = await ask(request.headers["x-402-proof"]);
    response.set("cache-control", "private").json({ paidBy: answer.payer });
  };
  app.get("/asking", asking(overKept));
  app.get("/asking-by-fetch", asking(byFetch));
  app.get("/free", (request, response) => response.json({ paidBy: PAY_TO }));
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();

  const question = { amount: "0.05", payTo: PAY_TO, network: "devnet", minConfirmations: 1, claim: true, invoiceId: "inv_1", resource: "GET https://api.example.com/paid" };
  const proofs = [];
  for (let round = 0; round < rounds + WARM_UP; round += 1) {
    const invoiceId = (await send(port, "/paid")).headers["x-402-invoice-id"];
    proofs.push(proofOf(invoiceId));
  }
  const times = await inTurns(rounds, {
    free: () => send(port, "/free"),
    verifier: (round) => overKept(proofs[round]),
    "asked by hand": (round) => send(port, "/asking", proofs[round]),
    "asked by fetch": (round) => send(port, "/asking-by-fetch", proofs[round]),
    "x402.express": async (round) => {
      const { statusCode } = await send(port, "/paid", proofs[round]);
      if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
    },
    "402 answered": () => send(port, "/paid"),
  });
  keepAlive.destroy();
  server.close();
  console.log(`\nServer, ${rounds} requests each, in turns`);
  show(times);
  bar("middleware_adds_ms_p50", times["x402.express"], times.free, times.verifier);
}

/** The agent's fetch of something free, against `fetch`. */
async function agentFigures(providerUrl, rounds) {
  const { fetchWithX402 } = createAgentClient({ gatewayUrl: providerUrl, apiKey: "x402_agent_bench", maxAmount: "1" });
  const read = async (response) => (await response).text();
  const times = await inTurns(rounds, {
    fetch: () => read(fetch(`${providerUrl}/free`)),
    fetchWithX402: () => read(fetchWithX402(`${providerUrl}/free`)),
  });
  console.log(`\nAgent, ${rounds} unpaid requests each, in turns`);
  show(times);
  bar("agent_adds_ms_p50", times.fetchWithX402, times.fetch);
}

/** Times each variant, one request of each after the other. */
async function inTurns(rounds, variants) {
  const times = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
  const names = Object.keys(variants);
  for (let round = 0; round < rounds + WARM_UP; round += 1) {
    // Another first each round, so that none always follows the same one.
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(round + turn) % names.length];
      const begin = performance.now();
      await variants[name](round);
      if (round >= WARM_UP) times[name].push(performance.now() - begin);
    }
  }
  return times;
}

function show(times) {
  for (const [name, measured] of Object.entries(times)) {
    const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => at(measured, share).toFixed(3));
    console.log(`  ${name.padEnd(16)} p50 ${p50} ms   p90 ${p90} ms   p99 ${p99} ms`);
  }
}

/** What one variant takes beyond others together, round by round. */
function bar(name, measured, ...others) {
  const beyond = measured.map((time, round) => others.reduce((left, other) => left - other[round], time));
  const [added, whole] = [beyond, measured].map((times) => at(times, 0.5));
  const verdict = added < 0.1 ? "kept" : "broken";
  console.log(`  bar: ${name}=${added.toFixed(3)} (ratio ${(whole / (whole - added)).toFixed(2)}); less than 0.1 is ${verdict}`);
  if (verdict === "broken") process.exitCode = 1;
}

function at(times, share) {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * share)];
}

/** Over a kept connection, as the package does it. */
function post(url, headers, body) {
  return new Promise((resolve, reject) => {
    const request = ask(url, { method: "POST", headers, agent: keepAlive }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => resolve(text));
    });
    request.on("error", reject).end(body);
  });
}

function send(port, path, proof) {
  return new Promise((resolve, reject) => {
    const headers = proof === undefined ? {} : { "x-402-proof": proof };
    ask({ port, path, host: "127.0.0.1", headers, agent: keepAlive }, (response) => {
      response.resume().on("end", () => resolve(response));
    })
      .on("error", reject)
      .end();
  });
}

function proofOf(invoiceId) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { iss: "https://gateway.example.com", sub: "pay_1", iat: 1_700_000_000, exp: 4_000_000_000, invoiceId, amount: "50000000000000000", asset: PAY_TO, payTo: PAY_TO, payer: PAY_TO, network: "eip155:31337", txHash: HASH, logIndex: 3, blockNumber: 9, resource: "GET https://api.example.com/paid" };
  return `${part({ alg: "EdDSA", typ: "x402-proof+jwt", kid: "k" })}.${part(claims)}.${"A".repeat(86)}`;
}
