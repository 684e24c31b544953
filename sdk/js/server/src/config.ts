// What a paid API is told at its start, checked once.

import { parseAddress, ZERO_ADDRESS } from "../../protocol/src/address.js";
import { toBaseUnits } from "../../protocol/src/amount.js";
import { hasExtras } from "../../protocol/src/base-url.js";
import type { Refusal } from "../../protocol/src/codes.js";
import { parseUrl } from "../../protocol/src/names.js";
import { type Network, parseNetwork } from "../../protocol/src/network.js";
import type { AttemptStore } from "./attempts.js";
import type { Confirmation } from "./confirm.js";
import type { VerifiedPayment } from "./payment.js";

/** MNEE on Ethereum. */
const MNEE_TOKEN = "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF";

const MINUTE_MS = 60_000;

/** The longest that an invoice may ask to be paid. */
const MAX_INVOICE_TTL_MS = 24 * 60 * MINUTE_MS;

/** The longest description, in characters. */
const MAX_DESCRIPTION_LENGTH = 200;

/** What a paid API is told at its start. */
export interface ServerOptions {
  /** The verifier, or the gateway in front of it: https, or http on this machine only. */
  readonly verifierUrl: string | URL;
  /** The provider's key, `x402_provider_…`. Sent to the verifier and nowhere else. */
  readonly apiKey: string;
  /** Who is paid. Has to be a payee of the provider whose key this is. */
  readonly payTo: string;
  /** On which network: `mainnet`, `sepolia`, `devnet` or a CAIP-2 id. */
  readonly network: string;
  /** In which token; MNEE when absent. Signatures over invoices name it. */
  readonly token?: string | undefined;
  /** Scheme, host and path prefix that agents use for this API, whatever proxies do in between. */
  readonly publicUrl: string | URL;
  /** The key before the last rotation: its open invoices stay valid. */
  readonly previousApiKey?: string;
  /** How long an invoice asks to be paid; ten minutes when absent. */
  readonly invoiceTtlMs?: number;
  /** Blocks that must stand on a payment, its own included; 1 when absent. */
  readonly minConfirmations?: number;
  /** How long one question to the verifier may take; 5,000 when absent. It is asked up to three times. */
  readonly verifierTimeoutMs?: number;
  /** Remembers failed attempts; in this process when absent. */
  readonly attempts?: AttemptStore;
  /** Serves cheap requests before the verifier has answered; never unless given. */
  readonly offline?: OfflineOptions;
  /** Is told of each payment before its request is served. */
  readonly onPaid?: (payment: VerifiedPayment) => void;
  /** Is told of each request that came with a proof and was turned away. */
  readonly onRefused?: (refused: Refused) => void;
  /** Is told what an operator should look at; `console.error` when absent. */
  readonly onError?: (message: string, cause: unknown) => void;
  /** What asks the verifier; the global `fetch` when absent. */
  readonly fetch?: typeof fetch;
}

/** A request that came with a proof and was turned away. */
export interface Refused {
  /** The code that its answer carries. */
  readonly code: Refusal | "VERIFIER_UNAVAILABLE";
  /** Method and URL of the request. */
  readonly resource: string;
  /** The invoice that the proof names, if it is a proof. */
  readonly invoiceId: string | undefined;
}

/** Serving before the verifier has answered, by the gateway's public keys alone. The README says what that risks. */
export interface OfflineOptions {
  /** The dearest price that is served so. */
  readonly upTo: string | bigint;
  /** The gateway's public URL, which its proofs name as their issuer. */
  readonly issuer: string;
  /** The token contract: MNEE. */
  readonly token: string;
  /** Is told, once for each payment that was served so, what the verifier said afterwards. */
  readonly onConfirmation: (confirmation: Confirmation) => void;
  /** How long the public keys count when they cannot be read again; five minutes when absent. */
  readonly keysMaxAgeMs?: number;
  /** The least time between two readings of the public keys; 10,000 when absent. */
  readonly keysMinRefetchMs?: number;
}

/** The same, checked. */
export interface Config {
  readonly payTo: string;
  readonly network: Network;
  readonly token: string;
  readonly publicUrl: URL;
  readonly invoiceTtlSeconds: number;
  readonly minConfirmations: number;
  readonly verifierTimeoutMs: number;
  readonly onPaid: (payment: VerifiedPayment) => void;
  readonly onRefused: (refused: Refused) => void;
  readonly onError: (message: string, cause: unknown) => void;
}

/** Checks the options that are not checked where they are used. Throws with what to do. */
export function checked(options: ServerOptions): Config {
  const payTo = parseAddress(options.payTo);
  if (payTo === ZERO_ADDRESS) throw new TypeError("payTo is the zero address; set who is paid");
  const publicUrl = parseUrl(String(options.publicUrl));
  if (publicUrl === undefined || !/^https?:$/.test(publicUrl.protocol) || hasExtras(publicUrl)) {
    throw new TypeError("publicUrl is an http(s) URL without user, query and fragment");
  }
  const minConfirmations = options.minConfirmations ?? 1;
  if (!Number.isSafeInteger(minConfirmations) || minConfirmations < 1) {
    throw new TypeError("minConfirmations is a whole number from 1");
  }
  const ttl = milliseconds("invoiceTtlMs", options.invoiceTtlMs, 10 * MINUTE_MS, MAX_INVOICE_TTL_MS);
  if (ttl < 1_000) throw new TypeError("invoiceTtlMs is between one second and 24 hours");
  const onError = options.onError ?? ((message, cause) => console.error(`x402: ${message}`, cause));
  return {
    payTo,
    network: parseNetwork(options.network),
    token: parseAddress(options.token ?? MNEE_TOKEN),
    publicUrl,
    invoiceTtlSeconds: Math.floor(ttl / 1_000),
    minConfirmations,
    verifierTimeoutMs: milliseconds("verifierTimeoutMs", options.verifierTimeoutMs, 5_000),
    onPaid: guarded("onPaid", options.onPaid, onError),
    onRefused: guarded("onRefused", options.onRefused, onError),
    onError,
  };
}

/** A number of milliseconds that a timer can take. */
export function milliseconds(name: string, given: number | undefined, fallback: number, most = 2 ** 31 - 1): number {
  const value = given ?? fallback;
  if (!(value > 0 && value <= most)) throw new TypeError(`${name} is a number of milliseconds above 0, at most ${most}`);
  return value;
}

/** A price in base units. */
export function checkedPrice(price: string | bigint): bigint {
  const units = toBaseUnits(price);
  if (units === 0n) throw new TypeError("a price is more than zero; leave free routes without a price");
  return units;
}

/** A description that a header can carry. */
export function checkedDescription(description: string): string {
  if (/^[ -~]+$/.test(description) && description.length <= MAX_DESCRIPTION_LENGTH) return description;
  throw new TypeError(`a description is 1 to ${MAX_DESCRIPTION_LENGTH} printable ASCII characters`);
}

/** A hook whose mistakes are reported and cost nobody a payment. */
export function guarded<T>(
  name: string,
  hook: ((told: T) => void) | undefined,
  onError: (message: string, cause: unknown) => void,
): (told: T) => void {
  return (told) => {
    try {
      hook?.(told);
    } catch (error) {
      onError(`${name} has thrown`, error);
    }
  };
}
