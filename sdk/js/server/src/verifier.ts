// Asking the verifier, again if need be.
//
// The only place that knows the API key, and it sends it to the verifier's own URL alone: redirects are not
// followed. A question is repeated with the same attempt name, so a lost answer to a claim is not a lost claim.

import { BaseUrl, bearer } from "../../protocol/src/base-url.js";
import { TooLargeError } from "../../protocol/src/body.js";
import { isOneOf, type Refusal, REFUSALS } from "../../protocol/src/codes.js";
import { type Fields, parseObject, whole } from "../../protocol/src/json.js";
import type { Trace } from "../../protocol/src/trace.js";
import { type Asking, type Exchange, exchangeWith } from "./exchange.js";
import { Slots } from "./slots.js";

/** The largest answer that is read, in bytes. A resource in it has at most 2 KiB. */
const MAX_ANSWER_BYTES = 16 * 1_024;

/** The most public keys that are read, in bytes: some two hundred. */
const MAX_KEYS_BYTES = 64 * 1_024;

/** How often a question is asked when the verifier is away. */
const MAX_TRIES = 3;

/** The pause before the second try; each further one is four times as long. */
const FIRST_PAUSE_MS = 100;

/** The most questions that are open at once; further requests wait for as long as one may take. */
const MAX_OPEN = 256;

/** What is asked about a proof. */
export interface Question {
  readonly proof: string;
  readonly invoiceId: string;
  readonly amount: string;
  readonly payTo: string;
  readonly network: string;
  readonly resource: string;
  readonly minConfirmations: number;
  readonly claim: true;
  readonly attempt: string;
  /** For the headers: the trace that it is asked in. */
  readonly trace: Trace | undefined;
}

/** The verifier's word: fields that are still to be compared, or a refusal. */
export type Word =
  | { readonly verified: true; readonly fields: Fields }
  | { readonly verified: false; readonly refusal: Refusal; readonly retryAfterMs: number | undefined };

/** The verifier gave no answer to a question. */
export class VerifierError extends Error {
  override readonly name = "VerifierError";
  /** Whether asking again may help. */
  readonly isTransient: boolean;

  constructor(message: string, isTransient = false, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.isTransient = isTransient;
  }
}

/** The verifier, as one provider reaches it. */
export class Verifier {
  readonly #endpoint: string;
  readonly #keysEndpoint: string;
  readonly #authorization: string;
  readonly #timeoutMs: number;
  readonly #exchange: Exchange;
  readonly #slots = new Slots(MAX_OPEN);

  constructor(url: string | URL, apiKey: string, timeoutMs: number, fetcher: typeof fetch | undefined) {
    const base = new BaseUrl(url, "verifierUrl");
    this.#endpoint = base.endpoint("verify");
    this.#keysEndpoint = base.endpoint(".well-known", "jwks.json");
    this.#authorization = bearer(apiKey);
    this.#timeoutMs = timeoutMs;
    this.#exchange = exchangeWith(this.#endpoint, fetcher);
  }

  /** Asks until there is an answer or the tries are used up. */
  async verify(question: Question): Promise<Word> {
    const release = this.#slots.tryTake() ?? (await this.#slots.take(this.#timeoutMs));
    if (release === undefined) throw new VerifierError("too many questions to the verifier are open");
    try {
      return await this.#askAgain(JSON.stringify({ ...question, trace: undefined }), question.trace);
    } finally {
      release();
    }
  }

  /** The gateway's public keys. They are for everybody, so the API key stays here. */
  async keys(): Promise<Fields> {
    return this.#read(this.#keysEndpoint, { method: "GET", headers: { accept: "application/json" } }, MAX_KEYS_BYTES);
  }

  async #askAgain(body: string, trace: Trace | undefined): Promise<Word> {
    let pause = FIRST_PAUSE_MS;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#ask(body, trace);
      } catch (error) {
        const again = error instanceof VerifierError && error.isTransient && tries < MAX_TRIES;
        if (!again) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause *= 4;
    }
  }

  async #ask(body: string, trace: Trace | undefined): Promise<Word> {
    const headers = { ...trace, authorization: this.#authorization, accept: "application/json", "content-type": "application/json" };
    const fields = await this.#read(this.#endpoint, { method: "POST", headers, body }, MAX_ANSWER_BYTES);
    if (fields["verified"] !== false) return { verified: true, fields };
    const refusal = fields["errorCode"];
    if (!isOneOf(REFUSALS, refusal)) throw notUnderstood();
    return { verified: false, refusal, retryAfterMs: whole(fields, "retryAfterMs") };
  }

  /** The fields of a good answer. */
  async #read(url: string, asking: Asking, maxBytes: number): Promise<Fields> {
    const answered = await this.#exchange(url, asking, maxBytes, this.#timeoutMs).catch((cause: unknown) => {
      if (cause instanceof TooLargeError) throw new VerifierError("the verifier's answer is too large to be one; is the URL a verifier's?");
      throw new VerifierError("the verifier cannot be reached", true, cause);
    });
    const { status, body } = answered;
    if (status >= 500 || status === 429) throw new VerifierError(`the verifier has a problem (status ${status})`, true);
    if (status === 401 || status === 403) throw new VerifierError("the verifier does not accept the API key; check or rotate it");
    if (status !== 200) throw new VerifierError(`the verifier refused the question (status ${status}); is the URL a verifier's?`);
    const fields = parseObject(body);
    if (fields === undefined) throw notUnderstood();
    return fields;
  }
}

function notUnderstood(): VerifierError {
  return new VerifierError("the verifier's answer is not understood; is the URL a verifier's?");
}
