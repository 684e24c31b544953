// Why a request was not answered, or a payment not made, in the order of a purchase.
//
// Each error says whether money may have moved (`money`) and gives the payment with its proof back whenever
// there is one. Network failures of the first, unpaid request are what `fetch` itself throws.

import { type Denial, type PaymentFailure } from "../../protocol/src/codes.js";
import type { Invoice } from "./invoice.js";
import type { Paid } from "./paid.js";
import type { Quote } from "./gateway.js";

/** What has become of the money: untouched, unknown, on its way, or paid. */
export type Money = "none" | "unknown" | "moving" | "paid";

/** Any error of this package. */
export abstract class X402Error extends Error {
  /** A stable code. */
  readonly code: string;
  /** What has become of the money. */
  readonly money: Money;

  constructor(code: string, money: Money, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.money = money;
  }
}

const UNUSABLE = {
  NOT_REPLAYABLE: "the request's body is a stream and cannot be sent again with a proof; use text or bytes",
  BODY_TOO_LARGE: "the Request's body has more than 1 MiB; pass it as the body of the init instead",
  CARRIES_PROOF: "the request carries a proof already; use retryWithProof, which never pays",
  OTHER_RESOURCE: "the request is for another method or URL than was paid for",
} as const;

/** The request cannot be used; nothing was sent. */
export class UnusableRequestError extends X402Error {
  override readonly name = "UnusableRequestError";
  declare readonly code: keyof typeof UNUSABLE;

  constructor(code: keyof typeof UNUSABLE) {
    super(code, "none", UNUSABLE[code]);
  }
}

/** What is wrong with a header of a 402 answer. */
export type HeaderProblem = "MISSING" | "NOT_TEXT" | "MALFORMED" | "ZERO" | "OTHER_CURRENCY";

/** The 402 is not one of this protocol, or cannot be paid. The provider has to mend it. */
export class InvoiceError extends X402Error {
  override readonly name = "InvoiceError";
  /** The header that is wrong; absent when the request itself cannot be named. */
  readonly header: string | undefined;
  readonly problem: HeaderProblem;
  /** What the answer says, up to 16 KiB. */
  readonly body: string;

  constructor(problem: HeaderProblem, header: string | undefined, body = "", cause?: unknown) {
    const where = header === undefined ? "the request cannot be named as what is bought" : `the header ${header} is ${WRONG[problem]}`;
    super("NOT_AN_INVOICE", "none", `the provider's 402 answer cannot be paid: ${where}`, cause);
    this.header = header;
    this.problem = problem;
    this.body = body;
  }

  /** The same with the body of the answer. */
  withBody(body: string): InvoiceError {
    return new InvoiceError(this.problem, this.header, body, this.cause);
  }
}

const WRONG: Record<HeaderProblem, string> = {
  MISSING: "missing",
  NOT_TEXT: "not text of a sensible length",
  MALFORMED: "malformed or there more than once",
  ZERO: "zero, which cannot be paid",
  OTHER_CURRENCY: "not MNEE, the only currency that is paid",
};

/** Dearer than the caller allows; nobody was asked. */
export class TooExpensiveError extends X402Error {
  override readonly name = "TooExpensiveError";
  readonly invoice: Invoice;
  /** The limit that was met, in base units: `maxAmount`, or what is left of `maxTotal`. */
  readonly limit: bigint;

  constructor(invoice: Invoice, limit: bigint, words: string) {
    super("TOO_EXPENSIVE", "none", words);
    this.invoice = invoice;
    this.limit = limit;
  }
}

/** The workspace's policy says no. */
export class PaymentDeniedError extends X402Error {
  override readonly name = "PaymentDeniedError";
  /** Which rule. */
  readonly reason: Denial;

  constructor(reason: Denial, message: string) {
    super("DENIED", "none", `the workspace's policy denies the payment: ${reason}: ${message}`);
    this.reason = reason;
  }
}

/** Nothing was or will be paid for this quote. */
export class PaymentFailedError extends X402Error {
  override readonly name = "PaymentFailedError";
  /** Why: a code of the gateway. */
  readonly reason: PaymentFailure | (string & {});

  constructor(reason: string, message: string) {
    super("PAYMENT_FAILED", "none", `nothing was paid: ${reason}: ${message}`);
    this.reason = reason;
  }
}

/** Why the gateway could not be asked. */
export type GatewayTrouble = "UNREACHABLE" | "TROUBLE" | "UNAUTHORIZED" | "REFUSED" | "UNREADABLE" | "TOO_LARGE";

/** The gateway could not be asked. Nothing was paid: what is in doubt is a `PaymentUnknownError`. */
export class GatewayError extends X402Error {
  override readonly name = "GatewayError";
  readonly trouble: GatewayTrouble;
  /** The answer's status, if there was one. */
  readonly status: number | undefined;
  /** The gateway's code, if it gave one. */
  readonly reason: string | undefined;

  constructor(trouble: GatewayTrouble, words: string, status?: number, reason?: string, cause?: unknown) {
    super("GATEWAY", "none", words, cause);
    this.trouble = trouble;
    this.status = status;
    this.reason = reason;
  }

  /** Whether asking again may help, as nothing was decided. */
  get isTransient(): boolean {
    return this.trouble === "UNREACHABLE" || this.trouble === "TROUBLE";
  }
}

/** The gateway was asked to pay and its answer was lost. `pay(error.quote)` never pays twice. */
export class PaymentUnknownError extends X402Error {
  override readonly name = "PaymentUnknownError";
  /** The quote to ask about. */
  readonly quote: Quote;

  constructor(quote: Quote, cause: unknown) {
    super("UNKNOWN", "unknown", "whether it was paid is unknown; send the same request again, or ask pay(error.quote): neither pays twice", cause);
    this.quote = quote;
  }
}

/** Under way, or not to be looked up now. `resume(paymentId, …)` goes on. */
export class PaymentPendingError extends X402Error {
  override readonly name = "PaymentPendingError";
  readonly paymentId: string;
  /** Its transaction, once signed. */
  readonly txHash: string | undefined;
  /** `APPROVAL_REQUIRED` while it waits for an owner. */
  readonly reason: string | undefined;

  constructor(paymentId: string, txHash: string | undefined, reason: string | undefined, cause?: unknown) {
    const what = reason === "APPROVAL_REQUIRED" ? "waits for an owner's approval" : "has not settled yet";
    super("PENDING", "moving", `payment ${paymentId} ${what}; send the same request again, or call resume: neither pays twice`, cause);
    this.paymentId = paymentId;
    this.txHash = txHash;
    this.reason = reason;
  }
}

/** Paid, but the gateway's proof is of no use. */
export class WrongProofError extends X402Error {
  override readonly name = "WrongProofError";
  readonly paymentId: string;

  constructor(paymentId: string) {
    super("WRONG_PROOF", "paid", `payment ${paymentId} was made but its proof is none of this invoice; tell the gateway's owner`);
    this.paymentId = paymentId;
  }
}

/** Paid, and the provider does not accept the proof. */
export class ProofRefusedError extends X402Error {
  override readonly name = "ProofRefusedError";
  readonly paid: Paid;
  /** The provider's code, such as `ALREADY_CLAIMED`, if it gave one. */
  readonly reason: string | undefined;
  /** What the provider says, up to 16 KiB. */
  readonly body: string;

  constructor(paid: Paid, reason: string | undefined, body: string) {
    super("PROOF_REFUSED", "paid", `payment ${paid.paymentId} was made and the provider refused its proof: ${reason ?? body.slice(0, 200)}`);
    this.paid = paid;
    this.reason = reason;
    this.body = body;
  }
}

/** Paid, and the provider gave no answer. `retryWithProof(error.paid, …)` tries again. */
export class NotServedError extends X402Error {
  override readonly name = "NotServedError";
  readonly paid: Paid;
  /** The answer's status, if there was one. */
  readonly status: number | undefined;
  /** What the provider says, up to 16 KiB. */
  readonly body: string | undefined;

  constructor(paid: Paid, status: number | undefined, body: string | undefined, cause?: unknown) {
    super("NOT_SERVED", "paid", `payment ${paid.paymentId} was made and not served; send the same request again, or call retryWithProof: neither pays`, cause);
    this.paid = paid;
    this.status = status;
    this.body = body;
  }
}
