// In: the headers of a 402 answer. Out: the invoice, or what is wrong with it.
//
// Strict, because money follows: canonical values, MNEE only. A header sent twice arrives as one text with a
// comma, which no value may have.

import { parseAddress, ZERO_ADDRESS } from "../../protocol/src/address.js";
import { parseAmount } from "../../protocol/src/amount.js";
import * as header from "../../protocol/src/header.js";
import { parseInvoiceId, parseUrl, resourceOf } from "../../protocol/src/names.js";
import { parseNetwork } from "../../protocol/src/network.js";
import { InvoiceError } from "./errors.js";

/** The longest header that is read, in bytes; descriptions are shown to people and stored by the gateway. */
const MAX_HEADER_LENGTH = 512;

/** What a provider asks for. */
export interface Invoice {
  /** The provider's name for it. */
  readonly invoiceId: string;
  /** How much, in base units. */
  readonly amount: bigint;
  /** Who is paid. */
  readonly payTo: string;
  /** On which network: a short name or a CAIP-2 id. */
  readonly network: string;
  /** What it buys: method and URL without query. */
  readonly resource: string;
  /** The same in the provider's words. */
  readonly description: string | undefined;
  /** The provider's signature over it, for the gateway to check. */
  readonly signature?: string | undefined;
}

/** The request that an answer answers. */
export interface Asked {
  /** `GET` when absent. */
  readonly method?: string;
  /** The answer's own `url` when absent. */
  readonly url?: string | URL;
}

/** Whether an answer asks to be paid for. */
export function isPaymentRequired(response: Response): boolean {
  return response.status === 402;
}

/** The invoice of a 402 answer. Throws an `InvoiceError` that names what is wrong. Leaves the body alone. */
export function extractInvoice(response: Response, asked: Asked = {}): Invoice {
  const { headers } = response;
  const invoiceId = required(headers, header.INVOICE_ID, parseInvoiceId);
  const amount = required(headers, header.AMOUNT, parseAmount);
  if (amount === 0n) throw new InvoiceError("ZERO", header.AMOUNT);
  const payTo = required(headers, header.PAY_TO, parseAddress);
  if (payTo === ZERO_ADDRESS) throw new InvoiceError("ZERO", header.PAY_TO);
  const network = required(headers, header.NETWORK, parseNetwork).name;
  const currency = optional(headers, header.CURRENCY);
  if (currency !== undefined && currency !== header.MNEE) throw new InvoiceError("OTHER_CURRENCY", header.CURRENCY);
  const description = optional(headers, header.DESCRIPTION);
  const resource = named(asked.method ?? "GET", String(asked.url ?? response.url));
  const signature = optional(headers, header.SIGNATURE);
  return { invoiceId, amount, payTo, network, resource, description, signature };
}

/** Method and URL of a resource. */
export function partsOf(resource: string): { method: string; url: string } {
  const space = resource.indexOf(" ");
  return { method: resource.slice(0, space), url: resource.slice(space + 1) };
}

function named(method: string, address: string): string {
  const url = parseUrl(address);
  if (url === undefined) throw new InvoiceError("MALFORMED", undefined);
  try {
    return resourceOf(method, url);
  } catch (cause) {
    throw new InvoiceError("MALFORMED", undefined, "", cause);
  }
}

function required<T>(headers: Headers, name: string, parse: (text: string) => T): T {
  const value = optional(headers, name);
  if (value === undefined) throw new InvoiceError("MISSING", name);
  try {
    return parse(value);
  } catch (cause) {
    throw new InvoiceError("MALFORMED", name, "", cause);
  }
}

function optional(headers: Headers, name: string): string | undefined {
  const value = headers.get(name);
  if (value === null) return undefined;
  // `fetch` shows each byte of a header as one character.
  const bytes = Uint8Array.from(value, (character) => character.charCodeAt(0));
  if (bytes.byteLength > MAX_HEADER_LENGTH) throw new InvoiceError("NOT_TEXT", name);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new InvoiceError("NOT_TEXT", name, "", cause);
  }
}
