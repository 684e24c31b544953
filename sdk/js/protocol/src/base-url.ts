// Where a service is reached with a key. Keys travel with every request, so that is https, or plain http on
// this machine only.

import { parseUrl } from "./names.js";

/** The URL under which a service's routes begin. */
export class BaseUrl {
  readonly #base: string;

  /** Throws, with what to do, on a URL that no key may be sent to. */
  constructor(url: string | URL, whose: string) {
    const parsed = parseUrl(String(url));
    if (parsed === undefined) throw new TypeError(`${whose} is not a URL`);
    const secure = parsed.protocol === "https:" || (parsed.protocol === "http:" && isLoopback(parsed.hostname));
    if (!secure) {
      throw new TypeError(`${whose}: use an https:// URL; plain http:// is for this machine only, as it shows the key`);
    }
    if (hasExtras(parsed)) {
      throw new TypeError(`${whose} has a user, password, query or fragment; remove them`);
    }
    this.#base = parsed.href.replace(/\/$/, "");
  }

  /** The URL of a route below it. Each segment is encoded, so none can lead elsewhere. */
  endpoint(...segments: string[]): string {
    if (segments.some((segment) => /^\.{0,2}$/.test(segment))) throw new TypeError("an id is not empty and no dots");
    return [this.#base, ...segments.map(encodeURIComponent)].join("/");
  }
}

/** Whether a URL has a part that no base URL has. */
export function hasExtras(url: URL): boolean {
  return url.username !== "" || url.password !== "" || /[?#]/.test(url.href);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(host);
}

/** `Bearer` and a key, if a header can carry it. */
export function bearer(apiKey: string): string {
  if (typeof apiKey !== "string" || !/^[!-~]+$/.test(apiKey)) {
    throw new TypeError("the API key is empty or has characters outside ASCII; copy it again");
  }
  return `Bearer ${apiKey}`;
}
