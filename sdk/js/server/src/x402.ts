// A paid API: one object, an adapter for each framework.

import { Admission, type Ask } from "./admission.js";
import { toResponse } from "./answer.js";
import type { ServerOptions } from "./config.js";
import { expressMiddleware, type ExpressRequest, type ExpressResponse, type Next } from "./express.js";
import { type Offer, pricing } from "./offer.js";
import type { VerifiedPayment } from "./payment.js";
import { type HonoContext, honoMiddleware, type PaidHandler, webHandler, type WebHandler } from "./web.js";

/** Whether a request was paid for, below the adapters. */
export type Verification =
  | {
      readonly paid: true;
      readonly payment: VerifiedPayment;
      /** Has to be told, once, with the answer's status before it is sent; nothing when there is no answer. */
      readonly answered: (status?: number) => Promise<void>;
    }
  | { readonly paid: false; readonly response: Response };

/** A paid API. */
export interface X402 {
  /** Middleware of Express: `app.get("/report", x402.express({ price, description }), handler)`. */
  express<R extends ExpressRequest = ExpressRequest>(
    offer: Offer<R>,
  ): (request: R, response: ExpressResponse, next: Next) => void;
  /** Middleware of Hono: `app.get("/report", x402.hono({ price, description }), handler)`. */
  hono<C extends HonoContext = HonoContext>(offer: Offer<C>): (context: C, next: () => Promise<void>) => Promise<Response | undefined>;
  /** A route handler of Next: `export const GET = x402.next({ price, description }, (request, { payment }) => …)`. */
  next<R extends Request, C extends { readonly payment: VerifiedPayment }>(
    offer: Offer<R>,
    serve: (request: R, context: C) => Response | Promise<Response>,
  ): (request: R, context: Omit<C, "payment">) => Promise<Response>;
  /** A handler of `Request` and `Response`, as Deno, Bun, workers and others call it. */
  handler<R extends Request = Request, Rest extends unknown[] = []>(
    offer: Offer<R>,
    serve: PaidHandler<R, Rest>,
  ): WebHandler<R, Rest>;
  /** Below the adapters: verifies and claims before it says `paid`; otherwise gives the answer to send. */
  verifyPayment(ask: Ask, offer: Offer<Ask>): Promise<Verification>;
  /** Waits until the verifier has confirmed, or not, whatever `offline` served before it had answered. Worth waiting
   * for before the process ends: what is not confirmed was not claimed. */
  confirmed(): Promise<void>;
}

/** A paid API. Throws on options that cannot be used; sends nothing. */
export function createX402(options: ServerOptions): X402 {
  const admission = new Admission(options);
  return {
    express: (offer) => expressMiddleware(admission, offer),
    hono: (offer) => honoMiddleware(admission, offer),
    next: <R extends Request, C extends { readonly payment: VerifiedPayment }>(
      offer: Offer<R>,
      serve: (request: R, context: C) => Response | Promise<Response>,
    ) =>
      webHandler(admission, offer, (request: R, payment, context: Omit<C, "payment">) =>
        serve(request, { ...context, payment } as unknown as C),
      ),
    handler: (offer, serve) => webHandler(admission, offer, serve),
    verifyPayment: async (ask, offer) => verify(admission, ask, offer),
    confirmed: async () => admission.offline?.confirmed(),
  };
}

async function verify(admission: Admission, ask: Ask, offer: Offer<Ask>): Promise<Verification> {
  const verdict = await admission.admit(await pricing(offer)(ask), ask);
  if (!verdict.paid) return { paid: false, response: toResponse(verdict.answer) };
  const { payment, attempt } = verdict;
  const answered = async (status?: number): Promise<void> => {
    if (status === undefined || status >= 500) await admission.keep(attempt);
    else attempt.answered();
  };
  return { paid: true, payment, answered };
}
