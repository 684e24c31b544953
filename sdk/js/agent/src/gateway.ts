// The gateway's routes: quote, pay, look up.
//
// The only place that knows the API key, and it sends it to the gateway's own URL alone: redirects are not
// followed. Answers are judged by their body first, since a refusal with a code is a refusal whatever its status.

import { formatAmount, parseAmount } from "../../protocol/src/amount.js";
import { parseAddress } from "../../protocol/src/address.js";
import { BaseUrl, bearer } from "../../protocol/src/base-url.js";
import { readText, TooLargeError } from "../../protocol/src/body.js";
import { DENIALS, isOneOf } from "../../protocol/src/codes.js";
import { asObject, type Fields, parseObject, read, text, whole } from "../../protocol/src/json.js";
import { parseInvoiceId, parseResource } from "../../protocol/src/names.js";
import { parseNetwork } from "../../protocol/src/network.js";
import { parseHash } from "../../protocol/src/proof.js";
import { Deadline } from "./clock.js";
import { GatewayError, PaymentDeniedError, PaymentFailedError } from "./errors.js";
import { type Invoice, partsOf } from "./invoice.js";

/** The largest answer that is read, in bytes. A proof has at most 8 KiB. */
const MAX_ANSWER_BYTES = 64 * 1_024;

/** How long one exchange may take, on top of the wait that it asks for. */
const EXCHANGE_MS = 15_000;

/** How often a question that changes nothing is asked when the gateway is away. */
const MAX_TRIES = 3;

/** The pause before the second try; each further one is four times as long. */
const FIRST_PAUSE_MS = 200;

/** How often a question is put to a gateway that says when to come back. */
const MAX_TURNS = 3;

/** The longest that is waited for a turn. A gateway that asks for more is not asked again. */
const MAX_TURN_MS = 15_000;

/** Statuses of a payment that moved no money and never will. */
const VOID = ["denied", "expired", "failed", "reverted"] as const;

/** The gateway's leave to pay an invoice. */
export interface Quote {
  readonly quoteId: string;
  /** When the quote ends, RFC 3339. */
  readonly expiresAt: string;
  /** What is quoted. */
  readonly invoice: Invoice;
  /** What would be left after this payment, in base units. */
  readonly remaining: { readonly daily: bigint; readonly monthly: bigint; readonly workspaceMonthly: bigint };
  /** Whether the payment will wait for an owner's approval. */
  readonly approvalRequired: boolean;
}

/** How a payment stands. */
export type Standing =
  | { readonly state: "settled"; readonly paymentId: string; readonly txHash: string; readonly proof: string }
  | {
      readonly state: "pending";
      readonly paymentId: string;
      readonly txHash: string | undefined;
      readonly reason: string | undefined;
      readonly retryAfterMs: number | undefined;
    }
  | { readonly state: "void"; readonly paymentId: string; readonly reason: string; readonly message: string };

/** A payment as the gateway shows it. */
export interface Payment {
  readonly invoice: Invoice;
  readonly standing: Standing;
}

interface Answer {
  readonly status: number;
  readonly fields: Fields | undefined;
  /** When the gateway listens again, if it did not this time. */
  readonly turnMs?: number | undefined;
}

/** The gateway, as one agent reaches it. */
export class Gateway {
  readonly #base: BaseUrl;
  readonly #authorization: string;
  readonly #fetch: typeof fetch;

  constructor(url: string | URL, apiKey: string, fetcher: typeof fetch) {
    this.#base = new BaseUrl(url, "gatewayUrl");
    this.#authorization = bearer(apiKey);
    this.#fetch = fetcher;
  }

  /** May I pay this? */
  async quote(invoice: Invoice, deadline: Deadline): Promise<Quote> {
    const answer = await this.#askAgain("POST", ["quote"], quoteRequest(invoice), deadline);
    const { fields } = answer;
    if (answer.status === 403 && fields?.["allowed"] === false && isOneOf(DENIALS, fields["reason"])) {
      throw new PaymentDeniedError(fields["reason"], text(fields, "message") ?? "");
    }
    if (answer.status !== 200) throw refusal(answer);
    const quote = fields?.["allowed"] === true ? readQuote(fields, invoice) : undefined;
    if (quote === undefined) throw unreadable(answer.status);
    return quote;
  }

  /** Pay what was quoted. One try: only the caller knows whether an earlier one may have arrived. */
  async pay(quote: Quote, waitMs: number, deadline: Deadline): Promise<Standing> {
    // Both the gateway and timers want whole milliseconds.
    const wait = Math.floor(waitMs);
    const body = { quoteId: quote.quoteId, waitMs: wait };
    const answer = await this.#ask("POST", ["pay"], body, EXCHANGE_MS + wait, deadline);
    const { status, fields } = answer;
    const error = fields === undefined ? undefined : text(fields, "error");
    if (fields?.["success"] === false && error !== undefined) {
      const message = text(fields, "message") ?? "";
      if (isOneOf(DENIALS, error)) throw new PaymentDeniedError(error, message);
      throw new PaymentFailedError(error, message);
    }
    if (status !== 200 && status !== 202) throw refusal(answer);
    const isWhole = status === 202 || fields?.["success"] === true;
    const standing = fields !== undefined && isWhole ? readPaying(fields) : undefined;
    if (standing === undefined) throw unreadable(status);
    return standing;
  }

  /** How does this payment stand? */
  async payment(paymentId: string, deadline: Deadline): Promise<Payment> {
    const answer = await this.#askAgain("GET", ["payments", paymentId], undefined, deadline);
    if (answer.status !== 200) throw refusal(answer);
    const payment = answer.fields === undefined ? undefined : readPayment(answer.fields);
    if (payment === undefined) throw unreadable(answer.status);
    return payment;
  }

  /** For questions that change nothing when asked twice. */
  async #askAgain(method: string, path: string[], body: unknown, deadline: Deadline): Promise<Answer> {
    let pause = FIRST_PAUSE_MS;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#ask(method, path, body, EXCHANGE_MS, deadline);
      } catch (error) {
        const again = error instanceof GatewayError && error.isTransient && tries < MAX_TRIES;
        if (!again) throw error;
        await deadline.pause(pause);
        pause *= 4;
      }
    }
  }

  /** Waits for a turn where the gateway has heard too much: it has decided nothing then, so that is no second question. */
  async #ask(method: string, path: string[], body: unknown, within: number, deadline: Deadline): Promise<Answer> {
    for (let turns = 1; ; turns += 1) {
      const answer = await this.#exchange(method, path, body, within, deadline);
      const { turnMs = Infinity } = answer;
      if (turns === MAX_TURNS || turnMs > Math.min(MAX_TURN_MS, deadline.left)) return answer;
      const leaves = await deadline.pause(turnMs).then(() => false, () => true);
      if (leaves) return answer;
    }
  }

  async #exchange(method: string, path: string[], body: unknown, within: number, deadline: Deadline): Promise<Answer> {
    const { signal, trace } = deadline;
    signal?.throwIfAborted();
    const late = AbortSignal.timeout(within);
    try {
      const response = await this.#fetch(this.#base.endpoint(...path), {
        method,
        redirect: "manual",
        signal: signal === undefined ? late : AbortSignal.any([signal, late]),
        headers: { ...trace, authorization: this.#authorization, accept: "application/json", "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const answered = await readText(response, MAX_ANSWER_BYTES);
      return { ...judged(response.status, parseObject(answered)), turnMs: turnOf(response) };
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause;
      if (cause instanceof TooLargeError) {
        throw new GatewayError("TOO_LARGE", "the gateway's answer is too large to be one; is the URL a gateway's?");
      }
      signal?.throwIfAborted();
      throw new GatewayError("UNREACHABLE", "the gateway cannot be reached; check its URL and try again", undefined, undefined, cause);
    }
  }
}

function turnOf({ status, headers }: Response): number | undefined {
  const seconds = /^[0-9]{1,9}$/.exec(headers.get("retry-after") ?? "")?.[0];
  return status === 429 && seconds !== undefined ? Number(seconds) * 1_000 : undefined;
}

/** A 5xx that decides something is an answer; one that does not is trouble. */
function judged(status: number, fields: Fields | undefined): Answer {
  const isVerdict = fields?.["allowed"] === false || fields?.["success"] === false;
  if (status >= 500 && !isVerdict) {
    throw new GatewayError("TROUBLE", `the gateway has a problem (status ${status}); try again later`, status);
  }
  return { status, fields };
}

function quoteRequest(invoice: Invoice): object {
  const { method, url } = partsOf(invoice.resource);
  return {
    invoiceId: invoice.invoiceId,
    amount: formatAmount(invoice.amount),
    payTo: invoice.payTo,
    network: invoice.network,
    ...(invoice.description === undefined ? {} : { description: invoice.description }),
    providerUrl: url,
    method,
    ...(invoice.signature === undefined ? {} : { signature: invoice.signature }),
  };
}

function readQuote(fields: Fields, invoice: Invoice): Quote | undefined {
  const [quoteId, expiresAt] = [text(fields, "quoteId"), text(fields, "expiresAt")];
  const left = asObject(fields["remaining"]) ?? {};
  const [daily, monthly, workspaceMonthly] = ["daily", "monthly", "workspaceMonthly"].map((name) =>
    read(parseAmount, text(left, name)),
  );
  if (quoteId === undefined || expiresAt === undefined) return undefined;
  if (daily === undefined || monthly === undefined || workspaceMonthly === undefined) return undefined;
  const approvalRequired = fields["approvalRequired"] === true;
  return { quoteId, expiresAt, invoice, remaining: { daily, monthly, workspaceMonthly }, approvalRequired };
}

/** The answer to `POST /pay`, or a payment that has settled or is under way. */
function readPaying(fields: Fields): Standing | undefined {
  const paymentId = text(fields, "paymentId");
  const txHash = read(parseHash, text(fields, "txHash"));
  const proof = text(fields, "proof");
  if (paymentId === undefined) return undefined;
  if (fields["status"] === "settled") {
    if (txHash === undefined || proof === undefined) return undefined;
    return { state: "settled", paymentId, txHash, proof };
  }
  const [reason, retryAfterMs] = [text(fields, "reason"), whole(fields, "retryAfterMs")];
  return { state: "pending", paymentId, txHash, reason, retryAfterMs };
}

function readPayment(fields: Fields): Payment | undefined {
  const invoice = {
    invoiceId: read(parseInvoiceId, text(fields, "invoiceId")),
    amount: read(parseAmount, text(fields, "amount")),
    payTo: read(parseAddress, text(fields, "payTo")),
    network: read(parseNetwork, text(fields, "network"))?.name,
    resource: read(parseResource, text(fields, "resource")),
  };
  const status = text(fields, "status");
  const standing = isOneOf(VOID, status) ? readVoid(fields, status) : readPaying(fields);
  const complete = Object.values(invoice).every((part) => part !== undefined);
  if (!complete || status === undefined || standing === undefined) return undefined;
  return { invoice: { ...invoice, description: undefined } as Invoice, standing };
}

function readVoid(fields: Fields, status: string): Standing | undefined {
  const paymentId = text(fields, "paymentId");
  if (paymentId === undefined) return undefined;
  const reason = text(fields, "error") ?? "TRANSACTION_FAILED";
  const message = text(fields, "message") ?? `payment ${paymentId} is ${status}`;
  return { state: "void", paymentId, reason, message };
}

/** The code and words of any refusal, under each name that a code goes by. */
function refusal({ status, fields }: Answer): GatewayError {
  if (status === 401) {
    return new GatewayError("UNAUTHORIZED", "the gateway does not accept the API key; check or rotate it", status);
  }
  const code = fields && (text(fields, "error") ?? text(fields, "reason") ?? text(fields, "errorCode"));
  const message = fields && text(fields, "message");
  if (code === undefined || message === undefined) return unreadable(status);
  return new GatewayError("REFUSED", `the gateway refused the request: ${code}: ${message}`, status, code);
}

function unreadable(status: number): GatewayError {
  return new GatewayError("UNREADABLE", `the gateway's answer (status ${status}) is not understood; is the URL a gateway's?`, status);
}
