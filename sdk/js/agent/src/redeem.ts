// In: a paid invoice and the request. Out: what was bought.
//
// The proof is sent to the method and URL that were paid for and nowhere else. It is sent once, and again only
// when the provider says that it could not verify it yet. Nothing here ever pays.

import { readSome } from "../../protocol/src/body.js";
import { parseObject, text, whole } from "../../protocol/src/json.js";
import { clamp, Deadline, since } from "./clock.js";
import { NotServedError, ProofRefusedError, UnusableRequestError } from "./errors.js";
import type { Order } from "./order.js";
import type { Paid } from "./paid.js";
import type { Watcher } from "./step.js";

/** The most of a provider's refusal that is kept for the caller, in bytes. */
const MAX_REFUSAL_BYTES = 16 * 1_024;

/** How long a provider may take to send its refusal. */
const REFUSAL_MS = 5_000;

/** Whatever a provider advises, the proof is sent again neither faster nor slower than this. */
const RETRY_BOUNDS_MS = [100, 10_000] as const;

/** The pause when the provider advises none. */
const RETRY_PAUSE_MS = 1_000;

/** Codes of a 503 that ask for the same proof again. */
const NOT_YET = ["PAYMENT_PENDING", "VERIFIER_UNAVAILABLE"];

/** How requests reach providers. */
export interface Sending {
  readonly fetch: typeof fetch;
  /** The longest time to the head of an answer. */
  readonly silenceMs: number;
}

/** What a provider's refusal says, as far as it arrives in time and fits. */
export function refusalOf(response: Response): Promise<string> {
  return readSome(response, MAX_REFUSAL_BYTES, REFUSAL_MS);
}

/** Sends the request with the proof until it is answered or refused, or the deadline has come. */
export async function redeem(order: Order, paid: Paid, sending: Sending, watch: Watcher, deadline: Deadline): Promise<Response> {
  if (order.resource !== paid.invoice.resource) throw new UnusableRequestError("OTHER_RESOURCE");
  for (;;) {
    const begin = performance.now();
    const response = await sent(order, paid, sending);
    const { status } = response;
    if (status !== 402 && status < 500) {
      watch({ step: "served", status, took: since(begin) });
      return response;
    }
    const body = await refusalOf(response);
    const advice = notYet(response, body);
    if (status === 402) {
      const fields = parseObject(body);
      throw new ProofRefusedError(paid, fields && text(fields, "error"), body);
    }
    if (advice === undefined || advice.retryAfterMs > deadline.left) throw new NotServedError(paid, status, body);
    watch({ step: "notVerifiedYet", ...advice, took: since(begin) });
    await deadline.pause(advice.retryAfterMs).catch((cause: unknown) => {
      throw new NotServedError(paid, status, body, cause);
    });
  }
}

async function sent(order: Order, paid: Paid, { fetch, silenceMs }: Sending): Promise<Response> {
  try {
    return await order.send(fetch, silenceMs, paid.proof.text);
  } catch (cause) {
    throw new NotServedError(paid, undefined, undefined, cause);
  }
}

/** The code and pause of a 503 that asks for the same proof again. */
export function notYet(response: Response, body: string): { code: string; retryAfterMs: number } | undefined {
  const fields = response.status === 503 ? parseObject(body) : undefined;
  const code = fields && text(fields, "error");
  if (fields === undefined || code === undefined || !NOT_YET.includes(code)) return undefined;
  const seconds = /^[0-9]{1,9}$/.exec(response.headers.get("retry-after") ?? "")?.[0];
  const advised = whole(fields, "retryAfterMs") ?? (seconds === undefined ? RETRY_PAUSE_MS : Number(seconds) * 1_000);
  return { code, retryAfterMs: clamp(advised, RETRY_BOUNDS_MS) };
}
