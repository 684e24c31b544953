// The names within an invoice: its id and what it buys. Each has one text.

import { remembering } from "./remember.js";

const MAX_RESOURCE_LENGTH = 2_048;

/** A text that is no invoice id, or a request that cannot be named as what is bought. */
export class NameError extends Error {
  override readonly name = "NameError";
}

/** Reads an invoice id. */
export function parseInvoiceId(text: string): string {
  if (typeof text === "string" && /^[A-Za-z0-9._~:-]{1,128}$/.test(text)) return text;
  throw new NameError("an invoice id is 1 to 128 letters, digits or . _ ~ : -");
}

/** What a request buys: method and URL without query, fragment and credentials. Queries carry private data. */
export function resourceOf(method: string, url: URL): string {
  const text = `${method} ${url.origin}${url.pathname}`;
  const scheme = url.protocol === "https:" || url.protocol === "http:";
  if (!/^[A-Z]{1,16}$/.test(method) || !scheme || text.length > MAX_RESOURCE_LENGTH) throw notAResource();
  return text;
}

/** Accepts only the canonical text, so that equal resources are equal strings. */
export const parseResource = remembering((text) => {
  const space = typeof text === "string" ? text.indexOf(" ") : -1;
  if (space < 0) throw notAResource();
  const url = parseUrl(text.slice(space + 1));
  if (url === undefined || resourceOf(text.slice(0, space), url) !== text) throw notAResource();
  return text;
});

/** A URL, or nothing. */
export function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function notAResource(): NameError {
  return new NameError("a resource is an HTTP method and an http or https URL of at most 2048 characters");
}
