// A request that may have to be sent twice: once to learn the price, once with the proof.
//
// Redirects are never followed: a redirect would carry the proof, or the price, to somebody else. A 3xx answer is
// handed to the caller like any other.

import { readWhole, TooLargeError } from "../../protocol/src/body.js";
import { PROOF } from "../../protocol/src/header.js";
import { resourceOf } from "../../protocol/src/names.js";
import { type Trace, traceOf } from "../../protocol/src/trace.js";
import { UnusableRequestError } from "./errors.js";

/** The most that is read of a `Request`'s body, in bytes, to be able to send it again. */
const MAX_REQUEST_BODY_BYTES = 1_024 * 1_024;

/** A body that can be sent any number of times. */
type Replayable = string | URLSearchParams | Blob | FormData | ArrayBuffer | ArrayBufferView | undefined;

/** A request, ready to be sent any number of times. */
export class Order {
  readonly method: string;
  readonly url: URL;
  readonly signal: AbortSignal | undefined;
  readonly #init: RequestInit;
  readonly #body: Replayable;

  private constructor(method: string, url: URL, init: RequestInit, body: Replayable, signal: AbortSignal | undefined) {
    this.method = method;
    this.url = url;
    this.signal = signal;
    this.#init = init;
    this.#body = body;
  }

  /** Reads what `fetch` takes. Throws before anything is sent when it could not be sent again. */
  static async of(input: string | URL | Request, init: RequestInit = {}): Promise<Order> {
    const request = input instanceof Request ? input : undefined;
    const url = new URL(request?.url ?? String(input));
    const method = (init.method ?? request?.method ?? "GET").toUpperCase();
    const body = init.body !== undefined ? replayable(init.body) : await bodyOf(request);
    const whole = request === undefined ? init : { ...partsOf(request), ...init };
    if (whole.headers !== undefined && new Headers(whole.headers).has(PROOF)) {
      throw new UnusableRequestError("CARRIES_PROOF");
    }
    return new Order(method, url, whole, body, whole.signal ?? undefined);
  }

  /** What it buys, or nothing when it cannot be named. */
  get resource(): string | undefined {
    try {
      return resourceOf(this.method, this.url);
    } catch {
      return undefined;
    }
  }

  /** The trace that its headers name: the gateway is told, as the provider is. */
  get trace(): Trace {
    const headers = new Headers(this.#init.headers);
    return traceOf((name) => headers.get(name));
  }

  /** Sends it, with a proof if there is one. `silenceMs` bounds the time to the answer's head. */
  async send(fetcher: typeof fetch, silenceMs: number, proof?: string): Promise<Response> {
    const { signal } = this;
    signal?.throwIfAborted();
    const silence = new AbortController();
    const late = (): void => silence.abort(new DOMException("no answer in time", "TimeoutError"));
    const timer = setTimeout(late, silenceMs);
    const init: RequestInit = {
      ...this.#init,
      method: this.method,
      redirect: this.#init.redirect === "error" ? "error" : "manual",
      signal: signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]),
    };
    if (this.#body !== undefined) init.body = this.#body as BodyInit;
    if (proof !== undefined) {
      const headers = new Headers(this.#init.headers);
      headers.set(PROOF, proof);
      init.headers = headers;
    }
    try {
      return await fetcher(this.url, init);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The same for requests that are the same: method, URL with query, body. Forms are never the same. */
  async fingerprint(): Promise<string | undefined> {
    if (this.#body instanceof FormData) return undefined;
    const bytes = await new Response((this.#body ?? "") as BodyInit).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return `${this.method} ${this.url.href} ${digest.join(".")}`;
  }
}

/** A body that can be sent again, as it is. */
function replayable(body: BodyInit | null): Replayable {
  if (body === null) return undefined;
  const known =
    typeof body === "string" ||
    body instanceof URLSearchParams ||
    body instanceof Blob ||
    body instanceof FormData ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body);
  if (!known) throw new UnusableRequestError("NOT_REPLAYABLE");
  return body as Replayable;
}

/** A `Request` shows its body as a stream, whatever it was made of; so it is read, up to a bound. */
async function bodyOf(request: Request | undefined): Promise<Replayable> {
  if (request === undefined || request.body === null) return undefined;
  if (request.bodyUsed) throw new UnusableRequestError("NOT_REPLAYABLE");
  try {
    return await readWhole(request, MAX_REQUEST_BODY_BYTES);
  } catch (error) {
    throw error instanceof TooLargeError ? new UnusableRequestError("BODY_TOO_LARGE") : error;
  }
}

function partsOf(request: Request): RequestInit {
  const { headers, signal, redirect, credentials, cache, integrity, keepalive } = request;
  return { headers, signal, redirect, credentials, cache, integrity, keepalive };
}
