// What a caller may watch while a request is fetched.

import type { Quote } from "./gateway.js";
import type { Invoice } from "./invoice.js";
import type { Paid } from "./paid.js";

/** One step of a purchase. `took` is the step's own time in milliseconds. */
export type Step =
  /** The request was answered. */
  | { readonly step: "requested"; readonly method: string; readonly url: string; readonly status: number; readonly took: number }
  /** The answer asks to be paid, within the limits. */
  | { readonly step: "paymentRequired"; readonly invoice: Invoice; readonly took: number }
  /** Policy allows the payment. */
  | { readonly step: "quoted"; readonly quote: Quote; readonly took: number }
  /** The payment is under way and will be asked for again. */
  | { readonly step: "paying"; readonly paymentId: string; readonly txHash: string | undefined; readonly reason: string | undefined; readonly took: number }
  /** The payment has settled and its proof is here. */
  | { readonly step: "paid"; readonly paid: Paid; readonly took: number }
  /** An earlier call left this purchase unfinished; this one goes on with it and pays nothing more. */
  | { readonly step: "resumed"; readonly invoice: Invoice; readonly took: number }
  /** The provider cannot verify the proof yet; the same proof will be sent again. */
  | { readonly step: "notVerifiedYet"; readonly code: string; readonly retryAfterMs: number; readonly took: number }
  /** The provider answered the request with the proof. */
  | { readonly step: "served"; readonly status: number; readonly took: number };

/** Is shown each step as it happens. */
export type Watcher = (step: Step) => void;

/** A watcher whose mistakes cost the buyer nothing: what it throws is dropped. */
export function harmless(watcher: Watcher | undefined): Watcher {
  if (watcher === undefined) return () => undefined;
  return (step) => {
    try {
      watcher(step);
    } catch {
      // A purchase in the middle is worth more than the report of it.
    }
  };
}
