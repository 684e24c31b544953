// Purchases that a call left unfinished although money has moved or may move.
//
// Callers retry what fails, often without knowing that they do. The next request that is the same takes such a
// purchase over instead of buying again; taking removes it, so of two at once only one does.

import { NotServedError, PaymentPendingError, PaymentUnknownError, WrongProofError } from "./errors.js";
import type { Quote } from "./gateway.js";
import type { Invoice } from "./invoice.js";
import type { Paid } from "./paid.js";

/** The most purchases that are remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 1_024;

/** As long as a proof lives. */
const REMEMBERED_MS = 24 * 60 * 60 * 1_000;

/** How far a purchase came. */
export type Unfinished =
  | { readonly at: "pay"; readonly invoice: Invoice; readonly quote: Quote }
  | { readonly at: "settle"; readonly invoice: Invoice; readonly paymentId: string }
  | { readonly at: "redeem"; readonly invoice: Invoice; readonly paid: Paid };

/** How far a purchase of this invoice came that ended with an error; nothing when there is nothing to go on with. */
export function leftBy(error: unknown, invoice: Invoice): Unfinished | undefined {
  if (error instanceof PaymentUnknownError) return { at: "pay", invoice, quote: error.quote };
  if (error instanceof PaymentPendingError || error instanceof WrongProofError) {
    return { at: "settle", invoice, paymentId: error.paymentId };
  }
  if (error instanceof NotServedError) return { at: "redeem", invoice, paid: error.paid };
  return undefined;
}

/** Purchases by the request that they were made for. */
export class Memory {
  readonly #kept = new Map<string, { readonly unfinished: Unfinished; readonly at: number }>();

  /** Whether there is anything to look for. */
  get isEmpty(): boolean {
    return this.#kept.size === 0;
  }

  /** Removes and returns the purchase of a request. */
  take(fingerprint: string): Unfinished | undefined {
    const found = this.#kept.get(fingerprint);
    this.#kept.delete(fingerprint);
    const lives = found !== undefined && performance.now() - found.at < REMEMBERED_MS;
    return lives ? found.unfinished : undefined;
  }

  keep(fingerprint: string, unfinished: Unfinished): void {
    this.#kept.set(fingerprint, { unfinished, at: performance.now() });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_REMEMBERED && oldest !== undefined) this.#kept.delete(oldest);
  }
}
