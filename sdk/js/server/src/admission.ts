// In: what a request presents. Out: a verified payment, or why it is turned away.
//
// Fails closed: whatever is not a clear yes turns the request away, with a new invoice when the proof is refused, and
// without one when paying again would be wrong.

import { bytesToHex } from "@noble/hashes/utils.js";

import { formatAmount } from "../../protocol/src/amount.js";
import { bearer } from "../../protocol/src/base-url.js";
import type { Refusal } from "../../protocol/src/codes.js";
import { invoiceHash } from "../../protocol/src/invoice-hash.js";
import { resourceOf } from "../../protocol/src/names.js";
import { readProof } from "../../protocol/src/proof.js";
import { InvoiceSigner } from "../../protocol/src/signature.js";
import type { Trace } from "../../protocol/src/trace.js";
import { type Answer, notCanonical, notYet, paymentRequired, unavailable } from "./answer.js";
import { Attempt, type AttemptStore, MemoryAttempts } from "./attempts.js";
import { checked, type Config, type ServerOptions } from "./config.js";
import { InvoiceKeys, NONCE_LENGTH, type Terms } from "./invoice.js";
import { judge } from "./judge.js";
import { Offline } from "./offline.js";
import type { VerifiedPayment } from "./payment.js";
import { type Question, Verifier } from "./verifier.js";

const ATTEMPT_LENGTH = 16;

/** Requests whose terms are remembered. */
const MAX_KNOWN = 256;

/** What is sold, for one request. */
export interface Priced {
  readonly price: bigint;
  readonly description: string;
}

/** A request, as far as its admission depends on it. */
export interface Ask {
  /** Its method, in capitals. */
  readonly method: string;
  /** Its path as agents use it, without query. */
  readonly path: string;
  /** `X-402-Proof`, if it is there. */
  readonly proof: string | undefined;
  /** The trace that it belongs to: its `traceparent` and `tracestate`, which the verifier is told. */
  readonly trace?: Trace;
}

/** Whether a request is served. Whoever serves it tells the attempt how that went. */
export type Verdict =
  | { readonly paid: true; readonly payment: VerifiedPayment; readonly attempt: Attempt }
  | { readonly paid: false; readonly answer: Answer };

/** A request with a proof of an invoice of ours. */
interface Claiming {
  readonly priced: Priced;
  readonly terms: Terms;
  readonly question: Question;
  readonly attempt: Attempt;
}

/** Judges the requests of one API. */
export class Admission {
  readonly config: Config;
  readonly offline: Offline | undefined;
  readonly #keys: InvoiceKeys;
  readonly #signer: InvoiceSigner;
  readonly #verifier: Verifier;
  readonly #attempts: AttemptStore;
  readonly #prefix: string;
  readonly #known = new Map<string, Terms>();

  constructor(options: ServerOptions) {
    this.config = checked(options);
    const { onError, publicUrl, verifierTimeoutMs } = this.config;
    this.#verifier = new Verifier(options.verifierUrl, options.apiKey, verifierTimeoutMs, options.fetch);
    if (options.previousApiKey !== undefined) bearer(options.previousApiKey);
    this.#keys = new InvoiceKeys(options.apiKey, options.previousApiKey);
    this.#signer = new InvoiceSigner(options.apiKey);
    this.#attempts = options.attempts ?? new MemoryAttempts();
    this.#prefix = publicUrl.pathname.replace(/\/$/, "");
    this.offline = options.offline && new Offline(options.offline, this.#verifier, onError);
  }

  /** Judges a request. */
  async admit(priced: Priced, ask: Ask, now = Math.floor(Date.now() / 1_000)): Promise<Verdict> {
    const terms = this.#terms(priced, ask);
    if (terms === undefined) return { paid: false, answer: notCanonical() };
    if (ask.proof === undefined) return this.#demand(priced, terms, undefined, undefined, now);
    // Unchecked, to learn which invoice it is meant for; the verifier says whether it is true.
    const invoiceId = readProof(ask.proof)?.invoiceId;
    if (invoiceId === undefined) return this.#demand(priced, terms, "INVALID_PROOF", undefined, now);
    const standing = this.#keys.standing(invoiceId, terms, now);
    if (standing !== "redeemable") {
      const refusal = standing === "ended" ? "PROOF_EXPIRED" : "INVOICE_MISMATCH";
      return this.#demand(priced, terms, refusal, invoiceId, now);
    }
    try {
      const attempt = await Attempt.begin(this.#attempts, invoiceId, bytesToHex(random(ATTEMPT_LENGTH)));
      const question = this.#question(ask.proof, invoiceId, terms, attempt, ask.trace);
      return await this.#redeem({ priced, terms, question, attempt }, now);
    } catch (error) {
      return this.#doubt("failed attempts cannot be looked up", error, terms, invoiceId);
    }
  }

  /** Tells the attempt that the buyer has no answer; a store that fails is reported. */
  async keep(attempt: Attempt): Promise<void> {
    await this.#keeping(() => attempt.unanswered());
  }

  async #redeem(claiming: Claiming, now: number): Promise<Verdict> {
    const { terms, question, attempt } = claiming;
    const { invoiceId } = question;
    const offhand = this.offline && (await this.offline.consider(question, terms, attempt.isTakenOver, now));
    if (offhand?.do === "serve") {
      this.offline?.confirmLater(question, terms, offhand.payment, offhand.release);
      return this.#serve(offhand.payment, attempt);
    }
    if (offhand?.do === "refuse") return this.#refuse(claiming, "ALREADY_CLAIMED", undefined, now);
    try {
      const word = await this.#verifier.verify(question);
      if (!word.verified) return await this.#refuse(claiming, word.refusal, word.retryAfterMs, now);
      return this.#serve(judge(invoiceId, terms, question.minConfirmations, word.fields), attempt);
    } catch (error) {
      // The claim may have been made and its answer lost, so the attempt is the buyer's next one too.
      await this.keep(attempt);
      return this.#doubt("a proof could not be verified", error, terms, invoiceId);
    }
  }

  #serve(payment: VerifiedPayment, attempt: Attempt): Verdict {
    attempt.run();
    this.config.onPaid(payment);
    return { paid: true, payment, attempt };
  }

  async #refuse(claiming: Claiming, refusal: Refusal, retryAfterMs: number | undefined, now: number): Promise<Verdict> {
    const { priced, terms, question, attempt } = claiming;
    await this.#keeping(() => attempt.refused());
    if (refusal !== "PAYMENT_PENDING") return this.#demand(priced, terms, refusal, question.invoiceId, now);
    this.config.onRefused({ code: refusal, resource: terms.resource, invoiceId: question.invoiceId });
    return { paid: false, answer: notYet(retryAfterMs) };
  }

  /** No answer, or one that contradicts the question: the operator reads why, the buyer waits. */
  #doubt(message: string, error: unknown, { resource }: Terms, invoiceId: string): Verdict {
    this.config.onError(message, error);
    this.config.onRefused({ code: "VERIFIER_UNAVAILABLE", resource, invoiceId });
    return { paid: false, answer: unavailable() };
  }

  /** A new invoice for these terms. */
  async #demand(
    priced: Priced,
    terms: Terms,
    refusal: Refusal | undefined,
    refused: string | undefined,
    now: number,
  ): Promise<Verdict> {
    const expiresAt = now + this.config.invoiceTtlSeconds;
    const invoiceId = this.#keys.issue(terms, expiresAt, random(NONCE_LENGTH));
    if (refusal !== undefined) this.config.onRefused({ code: refusal, resource: terms.resource, invoiceId: refused });
    const { resource, price: amount, payTo, network } = terms;
    const hash = invoiceHash({ invoiceId, payTo, amount, resource }, network.name, this.config.token);
    const invoice = { invoiceId, expiresAt, signature: await this.#signer.sign(hash) };
    return { paid: false, answer: paymentRequired(refusal, invoice, terms, priced.description) };
  }

  #question(proof: string, invoiceId: string, terms: Terms, attempt: Attempt, trace: Trace | undefined): Question {
    return {
      proof,
      invoiceId,
      amount: formatAmount(terms.price),
      payTo: terms.payTo,
      network: terms.network.name,
      resource: terms.resource,
      minConfirmations: this.config.minConfirmations,
      claim: true,
      attempt: attempt.name,
      trace,
    };
  }

  /** What a request costs; worked out once where it costs the same each time. Nothing when it cannot be named. */
  #terms({ price }: Priced, ask: Ask): Terms | undefined {
    const named = `${ask.method} ${ask.path}`;
    const known = this.#known.get(named);
    if (known?.price === price) return known;
    const resource = this.#resource(ask);
    if (resource === undefined) return undefined;
    const { payTo, network } = this.config;
    const terms = { resource, price, payTo, network };
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(named, terms);
    return terms;
  }

  /** The request as its buyer names it. A path that the URL standard spells otherwise is nobody's: the buyer would pay
   * for one spelling and be served for another. */
  #resource(ask: Ask): string | undefined {
    const path = this.#prefix + ask.path;
    const url = new URL(this.config.publicUrl);
    url.pathname = path;
    if (url.pathname !== path) return undefined;
    try {
      return resourceOf(ask.method, url);
    } catch {
      return undefined;
    }
  }

  async #keeping(work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.config.onError("a failed attempt could not be remembered", error);
    }
  }
}

/** Random bytes of the system that are not handed out yet: it takes as long to give many as to give a few. */
const pool = new Uint8Array(4_096);
let used = pool.length;

function random(length: number): Uint8Array {
  if (used + length > pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  return pool.slice(used, (used += length));
}
