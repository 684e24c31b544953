// Which attempt a payment was claimed for, so that a failed one can be repeated.
//
// The verifier repeats a claim only to the attempt that made it. An attempt that ended without an answer for the
// buyer is remembered; the next request with the same proof takes it over. Taking removes it, so of two requests at
// once only one is served.

import { PROOF_LIFETIME_SECONDS } from "../../protocol/src/proof.js";

/** The most failed attempts that are remembered in this process; the oldest is forgotten first. */
const MAX_REMEMBERED = 65_536;

/** How often one payment may start the handler until it gives an answer. */
export const MAX_RUNS = 16;

/** An attempt that ended without an answer. */
export interface Unanswered {
  /** What the verifier knows it by. */
  readonly name: string;
  /** How often the handler may still be started for it. */
  readonly runsLeft: number;
}

/** Where failed attempts are remembered. Share one among instances and any of them serves the buyer's next try. */
export interface AttemptStore {
  /** Removes and returns the attempt of an invoice, atomically: of two callers at once one gets it. */
  take(invoiceId: string): Unanswered | undefined | Promise<Unanswered | undefined>;
  /** Remembers an attempt for so many seconds. */
  keep(invoiceId: string, attempt: Unanswered, ttlSeconds: number): void | Promise<void>;
}

/** The store of one process. */
export class MemoryAttempts implements AttemptStore {
  readonly #kept = new Map<string, { readonly attempt: Unanswered; readonly until: number }>();

  take(invoiceId: string): Unanswered | undefined {
    const found = this.#kept.get(invoiceId);
    this.#kept.delete(invoiceId);
    return found !== undefined && performance.now() < found.until ? found.attempt : undefined;
  }

  keep(invoiceId: string, attempt: Unanswered, ttlSeconds: number): void {
    this.#kept.delete(invoiceId);
    this.#kept.set(invoiceId, { attempt, until: performance.now() + ttlSeconds * 1_000 });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_REMEMBERED && oldest !== undefined) this.#kept.delete(oldest);
  }
}

/** One request's try at serving an invoice. It is told once how it went. */
export class Attempt {
  readonly #store: AttemptStore;
  readonly #invoiceId: string;
  readonly #isTakenOver: boolean;
  readonly name: string;
  #runsLeft: number;
  #isOver = false;

  private constructor(store: AttemptStore, invoiceId: string, left: Unanswered | undefined, freshName: string) {
    this.#store = store;
    this.#invoiceId = invoiceId;
    this.#isTakenOver = left !== undefined;
    this.name = left?.name ?? freshName;
    this.#runsLeft = left?.runsLeft ?? MAX_RUNS;
  }

  /** The attempt that was left unanswered for this invoice, or a new one called `freshName`. */
  static async begin(store: AttemptStore, invoiceId: string, freshName: string): Promise<Attempt> {
    return new Attempt(store, invoiceId, await store.take(invoiceId), freshName);
  }

  /** Whether it was begun by an earlier request, so that the verifier may know it. */
  get isTakenOver(): boolean {
    return this.#isTakenOver;
  }

  /** The handler is about to start. */
  run(): void {
    this.#runsLeft -= 1;
  }

  /** The buyer has an answer. */
  answered(): void {
    this.#isOver = true;
  }

  /** The buyer has none, and may try again. */
  unanswered(): void | Promise<void> {
    if (this.#isOver) return undefined;
    this.#isOver = true;
    if (this.#runsLeft <= 0) return undefined;
    return this.#store.keep(this.#invoiceId, { name: this.name, runsLeft: this.#runsLeft }, PROOF_LIFETIME_SECONDS);
  }

  /** The verifier did not accept the proof now. A new attempt has claimed nothing and is forgotten; one that was
   * taken over may hold the claim and stays. */
  refused(): void | Promise<void> {
    if (this.#isTakenOver) return this.unanswered();
    return this.answered();
  }
}
