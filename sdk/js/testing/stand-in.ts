// A server on this machine that answers by a script, and remembers what it was asked.

import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One answer: a status with a body, a connection that breaks, or the same after a while. */
export type Reply =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Record<string, string | string[]>; readonly afterMs?: number }
  | "hangUp";

/** What was asked. */
export interface Seen {
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server that answers by a script; a request beyond it gets a status that no test expects. */
export class StandIn {
  readonly seen: Seen[] = [];
  /** What answers a request beyond the script. */
  otherwise: (seen: Seen) => Reply = () => ({ status: 599, body: "beyond the script" });
  readonly #script: Array<Reply | ((seen: Seen) => Reply)>;
  readonly #server: Server;

  private constructor(script: Array<Reply | ((seen: Seen) => Reply)>) {
    this.#script = script;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const line = `${request.method} ${request.url}`;
        const seen = { line, headers: request.headers, body: Buffer.concat(chunks).toString() };
        this.seen.push(seen);
        const reply = this.#script.shift() ?? this.otherwise;
        answer(response, typeof reply === "function" ? reply(seen) : reply);
      });
    });
  }

  static async answering(...script: Array<Reply | ((seen: Seen) => Reply)>): Promise<StandIn> {
    const standIn = new StandIn(script);
    await new Promise<void>((resolve) => standIn.#server.listen(0, "127.0.0.1", resolve));
    return standIn;
  }

  /** Adds to the script. */
  next(...script: Array<Reply | ((seen: Seen) => Reply)>): void {
    this.#script.push(...script);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get lines(): string[] {
    return this.seen.map((seen) => seen.line);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function answer(response: ServerResponse, reply: Reply): void {
  if (reply === "hangUp") {
    response.destroy();
    return;
  }
  const { status, body = "", headers = {}, afterMs = 0 } = reply;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  setTimeout(() => response.writeHead(status, headers).end(text), afterMs).unref();
}

/** Runs a test with stand-ins that are closed afterwards. */
export async function withServers(servers: StandIn[], test: () => Promise<void>): Promise<void> {
  try {
    await test();
  } finally {
    for (const server of servers) server.close();
  }
}
