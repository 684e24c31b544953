// Adapters of what speaks `Request` and `Response`: plain handlers, Next route handlers, Hono.

import { PROOF } from "../../protocol/src/header.js";
import { traceOf } from "../../protocol/src/trace.js";
import type { Admission, Ask } from "./admission.js";
import { toResponse } from "./answer.js";
import type { Attempt } from "./attempts.js";
import { type Offer, pricing } from "./offer.js";
import { attach, type VerifiedPayment } from "./payment.js";

/** A handler of paid requests. */
export type PaidHandler<R extends Request, Rest extends unknown[]> = (
  request: R,
  payment: VerifiedPayment,
  ...rest: Rest
) => Response | Promise<Response>;

/** A handler as servers call it. */
export type WebHandler<R extends Request, Rest extends unknown[]> = (request: R, ...rest: Rest) => Promise<Response>;

/** What is used of a Hono context. */
export interface HonoContext {
  readonly req: { readonly raw: Request };
  res: Response;
}

/** A plain handler that has to be paid for. */
export function webHandler<R extends Request, Rest extends unknown[]>(
  admission: Admission,
  offer: Offer<R>,
  serve: PaidHandler<R, Rest>,
): WebHandler<R, Rest> {
  const priceOf = pricing(offer);
  return async (request, ...rest) => {
    const verdict = await admission.admit(await priceOf(request), askOf(request));
    if (!verdict.paid) return toResponse(verdict.answer);
    attach(request, verdict.payment);
    return served(admission, verdict.attempt, request, async () => serve(request, verdict.payment, ...rest));
  };
}

/** Middleware of Hono. */
export function honoMiddleware<C extends HonoContext>(
  admission: Admission,
  offer: Offer<C>,
): (context: C, next: () => Promise<void>) => Promise<Response | undefined> {
  const priceOf = pricing(offer);
  return async (context, next) => {
    const request = context.req.raw;
    const verdict = await admission.admit(await priceOf(context), askOf(request));
    if (!verdict.paid) return toResponse(verdict.answer);
    attach(context, verdict.payment);
    attach(request, verdict.payment);
    const response = await served(admission, verdict.attempt, request, async () => {
      await next();
      return context.res;
    });
    // Setting it copies it.
    if (response !== context.res) context.res = response;
    return undefined;
  };
}

function askOf(request: Request): Ask {
  const { method, headers } = request;
  const { pathname } = new URL(request.url);
  return { method, path: pathname, proof: headers.get(PROOF) ?? undefined, trace: traceOf((name) => headers.get(name)) };
}

/** Runs the handler. When it fails, or the buyer has gone before there was an answer, the payment stays usable. */
async function served(admission: Admission, attempt: Attempt, request: Request, serve: () => Promise<Response>): Promise<Response> {
  let response;
  try {
    response = await serve();
  } catch (error) {
    await admission.keep(attempt);
    throw error;
  }
  if (response.status >= 500 || request.signal.aborted) await admission.keep(attempt);
  else attempt.answered();
  return keptOutOfCaches(response);
}

/** What was bought is for its buyer: no shared cache may hand it to others, unless the handler decides itself. */
function keptOutOfCaches(response: Response): Response {
  if (response.headers.has("cache-control")) return response;
  try {
    response.headers.set("cache-control", "private");
    return response;
  } catch {
    // An answer of `fetch` is handed on, and its headers cannot be changed.
    const copy = new Response(response.body, response);
    copy.headers.set("cache-control", "private");
    return copy;
  }
}
