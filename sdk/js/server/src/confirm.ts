// What the verifier says afterwards of a payment that was served at once.
//
// It is asked until it gives a verdict or too long has passed, with the attempt that was served, so that its claim is
// this request's. The outcome is told once for each payment that was served, unless the process ends before.

import type { Refusal } from "../../protocol/src/codes.js";
import type { Terms } from "./invoice.js";
import { ContradictionError, judge } from "./judge.js";
import type { VerifiedPayment } from "./payment.js";
import type { Question, Verifier } from "./verifier.js";

/** How long the verifier is asked: a deep confirmation on a slow chain, and an outage that somebody mends. */
const CONFIRM_WITHIN_MS = 30 * 60_000;

/** The pause after no answer. */
const PAUSE_MS = 2_000;

/** The shortest and the longest pause while a payment is pending, whatever the verifier advises. */
const PENDING_BOUNDS_MS = [100, 30_000] as const;

/** What became of a payment that was served before the verifier had answered. */
export interface Confirmation {
  /** The payment; as the verifier sees it once it is confirmed. */
  readonly payment: VerifiedPayment;
  /** It is used up for this request; or the request was served for nothing; or there was no usable answer in time. */
  readonly outcome: "confirmed" | "refused" | "unknown";
  /** Why it is refused. */
  readonly refusal: Refusal | undefined;
}

/** Asks about a payment that was served until the verifier has decided. */
export async function confirm(
  verifier: Verifier,
  question: Question,
  terms: Terms,
  payment: VerifiedPayment,
): Promise<Confirmation> {
  const begin = performance.now();
  while (performance.now() - begin < CONFIRM_WITHIN_MS) {
    let pause = PAUSE_MS;
    try {
      const word = await verifier.verify(question);
      if (word.verified) {
        const confirmed = judge(question.invoiceId, terms, question.minConfirmations, word.fields);
        return { payment: confirmed, outcome: "confirmed", refusal: undefined };
      }
      if (word.refusal !== "PAYMENT_PENDING") return { payment, outcome: "refused", refusal: word.refusal };
      pause = Math.min(PENDING_BOUNDS_MS[1], Math.max(PENDING_BOUNDS_MS[0], word.retryAfterMs ?? PAUSE_MS));
    } catch (error) {
      // An answer that contradicts the question will not improve; an outage may.
      if (error instanceof ContradictionError) break;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return { payment, outcome: "unknown", refusal: undefined };
}
