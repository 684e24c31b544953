// In: a request. Out: its answer, paid for if need be. One call pays at most once.

import { toBaseUnits } from "../../protocol/src/amount.js";
import { type Caller, Deadline, since } from "./clock.js";
import {
  GatewayError,
  InvoiceError,
  PaymentDeniedError,
  PaymentFailedError,
  PaymentPendingError,
  PaymentUnknownError,
  UnusableRequestError,
  X402Error,
} from "./errors.js";
import { Gateway, type Payment, type Quote } from "./gateway.js";
import { type Asked, extractInvoice, type Invoice, isPaymentRequired } from "./invoice.js";
import { Order } from "./order.js";
import type { Paid } from "./paid.js";
import { redeem, refusalOf, type Sending } from "./redeem.js";
import { Settling } from "./settle.js";
import { Spending } from "./spending.js";
import { harmless, type Watcher } from "./step.js";
import { leftBy, Memory, type Unfinished } from "./unfinished.js";

/** How long a payment may take before it is handed back as pending. */
const DEFAULT_DEADLINE_MS = 90_000;

/** The longest time to the head of a provider's answer. */
const DEFAULT_SILENCE_MS = 60_000;

/** What a client is told at its start. */
export interface AgentOptions {
  /** The gateway: https, or http on this machine only. */
  readonly gatewayUrl: string | URL;
  /** The agent's key, `x402_agent_…`. Sent to the gateway and nowhere else. */
  readonly apiKey: string;
  /** The most that one request may cost: decimal MNEE, or base units as `bigint`. The policy may allow less. */
  readonly maxAmount: string | bigint;
  /** The most that this client may spend in its life; no limit when absent. */
  readonly maxTotal?: string | bigint;
  /** How long paying and redeeming may take, from the 402 to the answer; 90,000 when absent. */
  readonly deadlineMs?: number;
  /** The longest time to the head of a provider's answer; 60,000 when absent. */
  readonly silenceMs?: number;
  /** Is shown each step of every purchase. */
  readonly onStep?: Watcher;
  /** What sends requests; the global `fetch` when absent. */
  readonly fetch?: typeof fetch;
}

/** The caller's way out of a single question. */
export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** Buys from paid APIs. Its functions may be taken apart: none needs `this`. */
export interface AgentClient {
  /** As `fetch`; pays and sends the request again when it is answered 402. */
  readonly fetchWithX402: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** Whether an answer asks to be paid for. */
  readonly isPaymentRequired: (response: Response) => boolean;
  /** The invoice of a 402 answer. */
  readonly extractInvoice: (response: Response, asked?: Asked) => Invoice;
  /** Asks the gateway whether the invoice of a 402 answer may be paid. */
  readonly quoteFromResponse: (response: Response, asked?: Asked & CallOptions) => Promise<Quote>;
  /** Pays a quote and waits for the proof. Repeating it never pays twice. */
  readonly pay: (quote: Quote, options?: CallOptions) => Promise<Paid>;
  /** Asks the gateway how a payment stands. */
  readonly payment: (paymentId: string, options?: CallOptions) => Promise<Payment>;
  /** Goes on with a payment that was pending: waits for its proof, then sends the request with it. Never pays. */
  readonly resume: (paymentId: string, input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** Sends the request with the proof of a payment that was made for it. Never pays. */
  readonly retryWithProof: (paid: Paid, input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** What is paid, or may still be, in base units. */
  readonly spent: () => bigint;
}

const payments = new WeakMap<Response, Paid>();

/** The payment that an answer took, unless it was free. */
export function paymentOf(response: Response): Paid | undefined {
  return payments.get(response);
}

/** A client for one agent. Throws on options that cannot be used; sends nothing. */
export function createAgentClient(options: AgentOptions): AgentClient {
  const client = new Client(options);
  return {
    fetchWithX402: (input, init) => client.fetch(input, init),
    isPaymentRequired,
    extractInvoice,
    quoteFromResponse: (response, asked = {}) => client.quote(extractInvoice(response, asked), asked.signal),
    pay: (quote, { signal } = {}) => client.pay(quote, signal),
    payment: (paymentId, { signal } = {}) => client.payment(paymentId, signal),
    resume: (paymentId, input, init) => client.resume(paymentId, input, init),
    retryWithProof: (paid, input, init) => client.retryWithProof(paid, input, init),
    spent: () => client.spent,
  };
}

class Client {
  readonly #gateway: Gateway;
  readonly #sending: Sending;
  readonly #spending: Spending;
  readonly #deadlineMs: number;
  readonly #watch: Watcher;
  readonly #memory = new Memory();

  constructor(options: AgentOptions) {
    const given = options.fetch;
    // Looked up at each call, as others replace the global one; never called with a `this` of ours.
    const fetcher: typeof fetch = given ?? ((input, init) => globalThis.fetch(input, init));
    this.#gateway = new Gateway(options.gatewayUrl, options.apiKey, fetcher);
    this.#sending = { fetch: fetcher, silenceMs: milliseconds("silenceMs", options.silenceMs, DEFAULT_SILENCE_MS) };
    const { maxTotal } = options;
    this.#spending = new Spending(toBaseUnits(options.maxAmount), maxTotal === undefined ? undefined : toBaseUnits(maxTotal));
    this.#deadlineMs = milliseconds("deadlineMs", options.deadlineMs, DEFAULT_DEADLINE_MS);
    this.#watch = harmless(options.onStep);
  }

  get spent(): bigint {
    return this.#spending.total;
  }

  async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const order = await Order.of(input, init);
    if (!this.#memory.isEmpty) {
      const fingerprint = await order.fingerprint();
      const unfinished = fingerprint === undefined ? undefined : this.#memory.take(fingerprint);
      if (unfinished !== undefined) return this.#goOn(order, unfinished);
    }
    const begin = performance.now();
    const response = await order.send(this.#sending.fetch, this.#sending.silenceMs);
    const { method, url } = order;
    this.#watch({ step: "requested", method, url: url.href, status: response.status, took: since(begin) });
    return isPaymentRequired(response) ? this.#buy(order, response) : response;
  }

  async quote(invoice: Invoice, signal: AbortSignal | undefined): Promise<Quote> {
    this.#spending.check(invoice);
    return this.#gateway.quote(invoice, this.#deadline({ signal }));
  }

  async pay(quote: Quote, signal: AbortSignal | undefined): Promise<Paid> {
    return this.#counting(quote.invoice, () => this.#settling(this.#deadline({ signal })).pay(quote));
  }

  payment(paymentId: string, signal: AbortSignal | undefined): Promise<Payment> {
    return this.#gateway.payment(paymentId, this.#deadline({ signal }));
  }

  async resume(paymentId: string, input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const order = await Order.of(input, init);
    const payment = this.#gateway.payment(paymentId, this.#deadline(order));
    const { invoice } = await payment.catch((cause: unknown) => {
      throw new PaymentPendingError(paymentId, undefined, undefined, cause);
    });
    if (order.resource !== invoice.resource) throw new UnusableRequestError("OTHER_RESOURCE");
    return this.#goOn(order, { at: "settle", invoice, paymentId });
  }

  async retryWithProof(paid: Paid, input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const order = await Order.of(input, init);
    return this.#goOn(order, { at: "redeem", invoice: paid.invoice, paid });
  }

  async #buy(order: Order, response: Response): Promise<Response> {
    const begin = performance.now();
    const invoice = await invoiceOf(order, response);
    this.#spending.check(invoice);
    this.#watch({ step: "paymentRequired", invoice, took: since(begin) });
    const deadline = this.#deadline(order);
    return this.#finish(order, invoice, deadline, () =>
      this.#counting(invoice, async () => {
        const asked = performance.now();
        const quote = await this.#gateway.quote(invoice, deadline);
        this.#watch({ step: "quoted", quote, took: since(asked) });
        return this.#settling(deadline).pay(quote);
      }),
    );
  }

  async #goOn(order: Order, unfinished: Unfinished): Promise<Response> {
    const { invoice } = unfinished;
    const deadline = this.#deadline(order);
    this.#watch({ step: "resumed", invoice, took: 0 });
    return this.#finish(order, invoice, deadline, async () => {
      try {
        if (unfinished.at === "pay") return await this.#settling(deadline).pay(unfinished.quote);
        if (unfinished.at === "settle") return await this.#settling(deadline).resume(unfinished.paymentId, invoice);
        return unfinished.paid;
      } catch (error) {
        if (error instanceof PaymentDeniedError || error instanceof PaymentFailedError) this.#spending.forget(invoice);
        // An earlier question may have arrived, so what stops this one says nothing about the money.
        const isCertain = error instanceof X402Error && !(error instanceof GatewayError);
        if (unfinished.at === "pay" && !isCertain) throw new PaymentUnknownError(unfinished.quote, error);
        throw error;
      }
    });
  }

  /** Has it paid and redeemed. What ends early is kept for the next request that is the same. */
  async #finish(order: Order, invoice: Invoice, deadline: Deadline, pay: () => Promise<Paid>): Promise<Response> {
    try {
      const paid = await pay();
      const response = await redeem(order, paid, this.#sending, this.#watch, deadline);
      payments.set(response, paid);
      return response;
    } catch (error) {
      const left = leftBy(error, invoice);
      const fingerprint = left === undefined ? undefined : await order.fingerprint();
      if (left !== undefined && fingerprint !== undefined) this.#memory.keep(fingerprint, left);
      throw error;
    }
  }

  /** Counts the invoice while something may be paid for it, and afterwards unless it is certain that nothing was. */
  async #counting(invoice: Invoice, pay: () => Promise<Paid>): Promise<Paid> {
    const end = this.#spending.hold(invoice);
    try {
      const paid = await pay();
      end(true);
      return paid;
    } catch (error) {
      // What is not ours, such as the caller's abort, is thrown only before the gateway was asked to pay.
      end(error instanceof X402Error && error.money !== "none");
      throw error;
    }
  }

  #settling(deadline: Deadline): Settling {
    return new Settling(this.#gateway, this.#watch, deadline);
  }

  #deadline(caller: Caller): Deadline {
    return new Deadline(this.#deadlineMs, caller);
  }
}

async function invoiceOf(order: Order, response: Response): Promise<Invoice> {
  // Read even when it is not needed: a connection with an unread body cannot be used again.
  const body = await refusalOf(response);
  try {
    return extractInvoice(response, order);
  } catch (error) {
    throw error instanceof InvoiceError ? error.withBody(body) : error;
  }
}

function milliseconds(name: string, given: number | undefined, fallback: number): number {
  const value = given ?? fallback;
  // Longer timers run out at once.
  if (!(value > 0 && value <= 2 ** 31 - 1)) throw new TypeError(`${name} is a number of milliseconds above zero`);
  return value;
}
