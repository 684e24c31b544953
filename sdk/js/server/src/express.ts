// Middleware of Express, or of anything that calls `(request, response, next)` with Node's own objects.

import { PROOF } from "../../protocol/src/header.js";
import { traceOf } from "../../protocol/src/trace.js";
import type { Admission, Ask } from "./admission.js";
import type { Answer } from "./answer.js";
import type { Attempt } from "./attempts.js";
import { type Offer, pricing } from "./offer.js";
import { attach } from "./payment.js";

/** What is used of a request. */
export interface ExpressRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  /** The URL before routers have cut their mount point off. */
  readonly originalUrl?: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What is used of a response. */
export interface ExpressResponse {
  statusCode: number;
  readonly headersSent: boolean;
  hasHeader(name: string): boolean;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
  once(event: "close", listener: () => void): unknown;
}

/** Passes a request on, or an error. */
export type Next = (error?: unknown) => void;

/** Middleware that lets paid requests through. */
export function expressMiddleware<R extends ExpressRequest>(
  admission: Admission,
  offer: Offer<R>,
): (request: R, response: ExpressResponse, next: Next) => void {
  const priceOf = pricing(offer);
  const admit = async (request: R): Promise<Awaited<ReturnType<Admission["admit"]>>> =>
    admission.admit(await priceOf(request), askOf(request));
  return (request, response, next) => {
    admit(request).then((verdict) => {
      if (!verdict.paid) {
        send(response, verdict.answer);
        return;
      }
      attach(request, verdict.payment);
      follow(admission, verdict.attempt, response);
      next();
    }, next);
  };
}

function askOf(request: ExpressRequest): Ask {
  const path = (request.originalUrl ?? request.url ?? "").split("?", 1)[0] ?? "";
  const { method = "", headers } = request;
  const proof = headers[PROOF];
  return { method, path, proof: Array.isArray(proof) ? proof.join() : proof, trace: traceOf((name) => headers[name]) };
}

function send(response: ExpressResponse, answer: Answer): void {
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  response.end(answer.body);
}

/** Learns how serving went. It has to be known before the answer's head leaves: a buyer who reads a 5xx may be back
 * before any event of it is told. */
function follow(admission: Admission, attempt: Attempt, response: ExpressResponse): void {
  const raw = response as unknown as { writeHead: (status: number, ...rest: unknown[]) => unknown };
  const original = raw.writeHead;
  let hasHead = false;
  raw.writeHead = function writeHead(this: unknown, status: number, ...rest: unknown[]): unknown {
    if (!hasHead && status >= 200) {
      hasHead = true;
      if (status >= 500) void admission.keep(attempt);
      else attempt.answered();
      // What was bought is for its buyer: no shared cache may hand it to others, unless the handler decides itself.
      if (!response.hasHeader("cache-control")) response.setHeader("cache-control", "private");
    }
    return original.call(this, status, ...rest);
  };
  response.once("close", () => {
    if (!hasHead) void admission.keep(attempt);
  });
}
