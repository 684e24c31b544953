// Paid APIs over real HTTP, one for each adapter, and a verifier that answers by a script.

import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

import { serve } from "@hono/node-server";
import express from "express";
import { Hono } from "hono";

import { createX402, paymentOf, type ServerOptions, type VerifiedPayment, type X402 } from "../src/index.js";
import { claims, PAY_TO, PAYER, TX_HASH } from "../../testing/proof.js";
import { type Reply, type Seen, StandIn } from "../../testing/stand-in.js";

export const KEY = "x402_provider_0011223344556677_secret";
export const PUBLIC_URL = "https://api.example.com";

/** The options of an API that asks this verifier. */
export function options(verifier: StandIn, changes: Partial<ServerOptions> = {}): ServerOptions {
  const base = { verifierUrl: verifier.url, apiKey: KEY, payTo: PAY_TO, network: "devnet", publicUrl: PUBLIC_URL };
  return { ...base, verifierTimeoutMs: 300, onError: () => undefined, ...changes };
}

/** A positive answer to a question. */
export function verified(seen: Seen, changes: Record<string, unknown> = {}): Reply {
  const question = JSON.parse(seen.body);
  const body = {
    verified: true,
    paymentId: "pay_1",
    invoiceId: question.invoiceId,
    amount: question.amount,
    payTo: question.payTo,
    resource: question.resource,
    paidAt: "2026-01-01T00:00:00Z",
    txHash: TX_HASH,
    logIndex: 3,
    blockNumber: 9,
    blockHash: TX_HASH,
    confirmations: 1,
    finalized: false,
    payer: PAYER,
    claimedAt: "2026-01-01T00:00:01Z",
    ...changes,
  };
  return { status: 200, body };
}

export function refused(errorCode: string, retryAfterMs?: number): Reply {
  return { status: 200, body: { verified: false, errorCode, message: "m", retryAfterMs } };
}

/** A key of the gateway. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: object;
}

export function signingKey(kid: string): SigningKey {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return { kid, privateKey, jwk: { ...publicKey.export({ format: "jwk" }), kid, alg: "EdDSA", use: "sig" } };
}

/** A proof of these claims, signed. */
export function signedProof(key: SigningKey, changes: Record<string, unknown>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "EdDSA", typ: "x402-proof+jwt", kid: key.kid })}.${part(claims(changes))}`;
  return `${signed}.${sign(null, Buffer.from(signed), key.privateKey).toString("base64url")}`;
}

/** A verifier that treats questions by a script and then as a real one does: the first attempt claims. */
export async function verifier(...script: Array<Reply | ((seen: Seen) => Reply)>): Promise<StandIn & { keys: SigningKey[] }> {
  const standIn = await StandIn.answering(...script);
  const claimed = new Map<string, string>();
  const keys: SigningKey[] = [];
  standIn.otherwise = (seen) => {
    if (seen.line.startsWith("GET")) return keys.length === 0 ? { status: 503 } : { status: 200, body: { keys: keys.map(({ jwk }) => jwk) } };
    const { invoiceId, attempt } = JSON.parse(seen.body);
    if (!claimed.has(invoiceId)) claimed.set(invoiceId, attempt);
    return claimed.get(invoiceId) === attempt ? verified(seen) : refused("ALREADY_CLAIMED");
  };
  return Object.assign(standIn, { keys });
}

/** The names of the attempts that a verifier was asked about. */
export function attempts(standIn: StandIn): string[] {
  return standIn.seen.map((seen) => JSON.parse(seen.body).attempt as string);
}

/** What the handler does, one after the other: a status to answer, or one of its ways to fail; then 200. */
export type Plan = Array<number | "throw" | "hang">;

const OFFER = { price: "0.05", description: "A report" };

/** `/report` and `/other` cost 0.05, `/dear` 0.06, `/sized?n=` as many hundredths as n. */
type Start = (x402: X402, plan: Plan) => Promise<Server>;

function listening(server: Server): Promise<Server> {
  return new Promise((resolve) => (server.listening ? resolve(server) : server.once("listening", () => resolve(server))));
}

function body(payment: VerifiedPayment): string {
  return `served to ${payment.paymentId}${payment.confirmed ? "" : ", not confirmed yet"}`;
}

async function carryOut(plan: Plan, payment: VerifiedPayment): Promise<Response> {
  const next = plan.shift() ?? 200;
  if (next === "throw") throw new Error("the handler fell over");
  if (next === "hang") await new Promise(() => undefined);
  return new Response(body(payment), { status: next as number });
}

const startExpress: Start = async (x402, plan) => {
  const app = express();
  const handle = (request: express.Request, response: express.Response): void => {
    const next = plan.shift() ?? 200;
    if (next === "throw") throw new Error("the handler fell over");
    if (next !== "hang") response.status(next).send(body(paymentOf(request)));
  };
  const routes = express.Router();
  routes.all("/report", x402.express(OFFER), handle);
  routes.all("/other", x402.express(OFFER), handle);
  routes.all("/dear", x402.express({ ...OFFER, price: 60_000_000_000_000_000n }), handle);
  const price = (request: express.Request): string => `0.0${String(request.query["n"])}`;
  routes.all("/sized", x402.express({ ...OFFER, price }), handle);
  app.use("/v1", routes);
  app.use((_error: unknown, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
    response.status(500).send("failed");
  });
  return listening(app.listen(0, "127.0.0.1"));
};

const startHono: Start = async (x402, plan) => {
  const app = new Hono();
  app.onError((_error, context) => context.text("failed", 500));
  app.all("/v1/report", x402.hono(OFFER), (context) => carryOut(plan, paymentOf(context)));
  app.all("/v1/other", x402.hono(OFFER), (context) => carryOut(plan, paymentOf(context.req.raw)));
  app.all("/v1/dear", x402.hono({ ...OFFER, price: "0.06" }), (context) => carryOut(plan, paymentOf(context)));
  const price = (context: { req: { raw: Request } }): string => `0.0${new URL(context.req.raw.url).searchParams.get("n")}`;
  app.all("/v1/sized", x402.hono({ ...OFFER, price }), (context) => carryOut(plan, paymentOf(context)));
  return listening(serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as Server);
};

const price = async (request: Request): Promise<string> => `0.0${new URL(request.url).searchParams.get("n")}`;

function startWeb(routes: Record<string, (request: Request) => Promise<Response>>): Promise<Server> {
  const fetch = async (request: Request): Promise<Response> => {
    try {
      return (await routes[new URL(request.url).pathname]?.(request)) ?? new Response("not here", { status: 404 });
    } catch {
      return new Response("failed", { status: 500 });
    }
  };
  return listening(serve({ fetch, port: 0, hostname: "127.0.0.1" }) as Server);
}

const startPlain: Start = async (x402, plan) => {
  const handler = (request: Request, payment: VerifiedPayment): Promise<Response> => carryOut(plan, paymentOf(request) && payment);
  return startWeb({
    "/v1/report": x402.handler(OFFER, handler),
    "/v1/other": x402.handler(OFFER, handler),
    "/v1/dear": x402.handler({ ...OFFER, price: "0.06" }, handler),
    "/v1/sized": x402.handler({ ...OFFER, price }, handler),
  });
};

const startNext: Start = async (x402, plan) => {
  const route = (offer: Parameters<X402["next"]>[0]) => {
    const GET = x402.next(offer, (_request: Request, context: { params: Promise<object>; payment: VerifiedPayment }) => carryOut(plan, context.payment));
    return (request: Request) => GET(request, { params: Promise.resolve({}) });
  };
  return startWeb({
    "/v1/report": route(OFFER),
    "/v1/other": route(OFFER),
    "/v1/dear": route({ ...OFFER, price: "0.06" }),
    "/v1/sized": route({ ...OFFER, price }),
  });
};

export const ADAPTERS: ReadonlyArray<readonly [string, Start]> = [
  ["Express", startExpress],
  ["Hono", startHono],
  ["plain", startPlain],
  ["Next", startNext],
];

/** One answer of an API. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A running API. */
export class Api {
  readonly x402: X402;
  readonly #server: Server;

  private constructor(x402: X402, server: Server) {
    this.x402 = x402;
    this.#server = server;
  }

  static async start(start: Start, from: ServerOptions, plan: Plan = []): Promise<Api> {
    const x402 = createX402(from);
    return new Api(x402, await start(x402, plan));
  }

  async send(line: string, proof?: string, signal?: AbortSignal, more: Record<string, string> = {}): Promise<Answer> {
    const [method = "GET", path = "/"] = line.split(" ");
    const headers: Record<string, string> = proof === undefined ? more : { ...more, "x-402-proof": proof };
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1${path}`;
    const response = await fetch(url, { method, headers, redirect: "manual", ...(signal && { signal }) });
    return { status: response.status, headers: response.headers, body: await response.text() };
  }

  /** A proof, by nobody, of what the 402 to this request asks for. */
  async bought(line: string, make: (changes: Record<string, unknown>) => string): Promise<string> {
    const asked = await this.send(line);
    if (asked.status !== 402) throw new Error(`${line}: ${asked.status} ${asked.body}`);
    const { resource, invoiceId } = JSON.parse(asked.body);
    return make({ invoiceId, resource });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Status and code. */
export function code(answer: Answer): [number, string] {
  return [answer.status, JSON.parse(answer.body).error];
}
