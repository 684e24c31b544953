// In: a quote. Out: a settled payment with its proof.
//
// Asking twice to pay one quote never pays twice, so a lost answer is asked for again. What stays unknown is
// reported as unknown: after one lost answer only the gateway's word about this very quote ends the doubt.

import { DENIALS, isOneOf } from "../../protocol/src/codes.js";
import { clamp, Deadline, since } from "./clock.js";
import {
  GatewayError,
  PaymentDeniedError,
  PaymentFailedError,
  PaymentPendingError,
  PaymentUnknownError,
  WrongProofError,
} from "./errors.js";
import type { Gateway, Quote, Standing } from "./gateway.js";
import type { Invoice } from "./invoice.js";
import { type Paid, proofOf } from "./paid.js";
import type { Watcher } from "./step.js";

/** How long the gateway is asked to wait for settlement within one `POST /pay`. */
const GATEWAY_WAIT_MS = 15_000;

/** How often `POST /pay` is sent for one quote when its answer is lost. */
const MAX_TRIES = 4;

/** The pause before the second try; each further one is twice as long. */
const FIRST_PAUSE_MS = 250;

/** Whatever the gateway advises, payments are asked for neither faster nor slower than this. */
const POLL_BOUNDS_MS = [100, 5_000] as const;

/** The pause between two looks when the gateway advises none. */
const POLL_PAUSE_MS = 500;

/** A payment that is being waited for. */
export class Settling {
  readonly #gateway: Gateway;
  readonly #watch: Watcher;
  readonly #deadline: Deadline;

  constructor(gateway: Gateway, watch: Watcher, deadline: Deadline) {
    this.#gateway = gateway;
    this.#watch = watch;
    this.#deadline = deadline;
  }

  /** Pays the quote and waits for the proof. */
  async pay(quote: Quote): Promise<Paid> {
    const begin = performance.now();
    const standing = await this.#askToPay(quote);
    return this.#settled(quote.invoice, standing, begin);
  }

  /** Goes on with a payment that was asked for before. */
  async resume(paymentId: string, invoice: Invoice): Promise<Paid> {
    const begin = performance.now();
    return this.#settled(invoice, await this.#look(paymentId, undefined, undefined), begin);
  }

  async #settled(invoice: Invoice, standing: Standing, begin: number): Promise<Paid> {
    const last = await this.#wait(standing, begin);
    if (last.state === "void") {
      if (isOneOf(DENIALS, last.reason)) throw new PaymentDeniedError(last.reason, last.message);
      throw new PaymentFailedError(last.reason, last.message);
    }
    const { paymentId, txHash } = last;
    const proof = proofOf(invoice, last.proof);
    if (proof === undefined) throw new WrongProofError(paymentId);
    const paid: Paid = { invoice, paymentId, txHash, proof };
    this.#watch({ step: "paid", paid, took: since(begin) });
    return paid;
  }

  /** Looks at the payment until it has settled or failed, or the deadline has come. */
  async #wait(first: Standing, begin: number): Promise<Exclude<Standing, { state: "pending" }>> {
    let standing = first;
    let asked = begin;
    while (standing.state === "pending") {
      const { paymentId, txHash, reason } = standing;
      this.#watch({ step: "paying", paymentId, txHash, reason, took: since(asked) });
      const pause = clamp(standing.retryAfterMs ?? POLL_PAUSE_MS, POLL_BOUNDS_MS);
      if (pause > this.#deadline.left) throw new PaymentPendingError(paymentId, txHash, reason);
      await this.#deadline.pause(pause).catch((cause: unknown) => {
        throw new PaymentPendingError(paymentId, txHash, reason, cause);
      });
      asked = performance.now();
      standing = await this.#look(paymentId, txHash, reason);
    }
    return standing;
  }

  /** Not knowing is not failing: the payment goes on without us. */
  async #look(paymentId: string, txHash: string | undefined, reason: string | undefined): Promise<Standing> {
    try {
      const { standing } = await this.#gateway.payment(paymentId, this.#deadline);
      return standing.state === "pending" ? { ...standing, txHash: standing.txHash ?? txHash } : standing;
    } catch (error) {
      const later = error instanceof GatewayError && error.isTransient;
      if (!later) throw new PaymentPendingError(paymentId, txHash, reason, error);
      return { state: "pending", paymentId, txHash, reason, retryAfterMs: POLL_BOUNDS_MS[1] };
    }
  }

  async #askToPay(quote: Quote): Promise<Standing> {
    const deadline = this.#deadline;
    // Until the first question is on its way the caller can still leave for nothing.
    deadline.signal?.throwIfAborted();
    let inDoubt = false;
    let pause = FIRST_PAUSE_MS;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#gateway.pay(quote, Math.min(deadline.left, GATEWAY_WAIT_MS), deadline);
      } catch (error) {
        if (error instanceof PaymentDeniedError || error instanceof PaymentFailedError) throw error;
        const lost = mayHavePaid(error);
        inDoubt ||= lost;
        if (!inDoubt) throw error;
        const giveUp = !lost || tries === MAX_TRIES || deadline.left < pause || deadline.signal?.aborted;
        if (giveUp) throw new PaymentUnknownError(quote, error);
      }
      await deadline.pause(pause).catch((cause: unknown) => {
        throw new PaymentUnknownError(quote, cause);
      });
      pause *= 2;
    }
  }
}

/** Whether the gateway may have taken the order although its answer says nothing. A success that cannot be
 * read is one of these, and so is a question that the caller broke off. */
function mayHavePaid(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return true;
  if (error.trouble === "UNREADABLE") return (error.status ?? 0) >= 200 && (error.status ?? 0) < 300;
  return error.trouble !== "UNAUTHORIZED" && error.trouble !== "REFUSED";
}
