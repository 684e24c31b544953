// One question and its answer, within a time and a size.
//
// A verifier on this machine answers in less time than `fetch` takes on Node.js, so there it is asked over kept
// connections of Node's own client. Anywhere else, and everywhere else, it is `fetch`, which knows of proxies.

import { readText, TooLargeError } from "../../protocol/src/body.js";

/** What is asked. */
export interface Asking {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** What is answered. */
export interface Answered {
  readonly status: number;
  readonly body: string;
}

/** Asks once. Rejects with a `TooLargeError`, or with whatever went wrong on the way. */
export type Exchange = (url: string, asking: Asking, maxBytes: number, timeoutMs: number) => Promise<Answered>;

/** What is used of Node's `http`. */
interface NodeHttp {
  readonly Agent: new (options: { keepAlive: true }) => object;
  readonly request: (url: string, options: object, answered: (answer: NodeAnswer) => void) => NodeRequest;
}

interface NodeAnswer {
  readonly statusCode?: number;
  setEncoding(name: "utf8"): void;
  on(event: "data" | "end" | "error", listener: (part: string) => void): void;
}

interface NodeRequest {
  on(event: "close" | "error", listener: (cause: unknown) => void): void;
  end(body: string | undefined): void;
  destroy(): void;
}

type NodeProcess = { readonly getBuiltinModule?: (name: string) => unknown } | undefined;

/** How this URL is asked, unless the caller has a `fetch` for it. */
export function exchangeWith(url: string, fetcher: typeof fetch | undefined): Exchange {
  const { process } = globalThis as { process?: NodeProcess };
  const http = process?.getBuiltinModule?.("http") as NodeHttp | undefined;
  // Plain HTTP is for this machine only.
  if (fetcher === undefined && http !== undefined && url.startsWith("http:")) return overKept(http);
  return overFetch(fetcher ?? ((input, init) => globalThis.fetch(input, init)));
}

function overFetch(fetcher: typeof fetch): Exchange {
  return async (url, asking, maxBytes, timeoutMs) => {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeoutMs);
    try {
      const response = await fetcher(url, { ...asking, redirect: "manual", signal: late.signal });
      return { status: response.status, body: await readText(response, maxBytes) };
    } finally {
      clearTimeout(timer);
    }
  };
}

function overKept(http: NodeHttp): Exchange {
  const agent = new http.Agent({ keepAlive: true });
  return (url, { body, ...asking }, maxBytes, timeoutMs) =>
    new Promise((resolve, reject) => {
      const giveUp = (cause: Error): void => {
        reject(cause);
        request.destroy();
      };
      const timer = setTimeout(() => giveUp(new Error("no answer in time")), timeoutMs);
      const request = http.request(url, { ...asking, agent }, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part) => {
          text += part;
          if (text.length > maxBytes) giveUp(new TooLargeError());
        });
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: text }));
        answer.on("error", reject);
      });
      request.on("close", () => clearTimeout(timer));
      request.on("error", reject);
      request.end(body);
    });
}
