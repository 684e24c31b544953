// Deadlines, pauses, and the caller's way out.

import type { Trace } from "../../protocol/src/trace.js";

/** What a caller gives a purchase: its signal to stop, and the trace that it belongs to. */
export interface Caller {
  readonly signal: AbortSignal | undefined;
  readonly trace?: Trace;
}

/** A purchase's time: when it has to be over, and for whom. */
export class Deadline {
  readonly #end: number;
  readonly signal: AbortSignal | undefined;
  readonly trace: Trace | undefined;

  constructor(milliseconds: number, { signal, trace }: Caller) {
    this.#end = performance.now() + milliseconds;
    this.signal = signal;
    this.trace = trace;
  }

  /** Milliseconds that are left; none below zero. */
  get left(): number {
    return Math.max(0, this.#end - performance.now());
  }

  /** Waits. Rejects with the signal's reason when the caller wants out. */
  async pause(milliseconds: number): Promise<void> {
    const { signal } = this;
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const out = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", out);
        resolve();
      }, milliseconds);
      signal?.addEventListener("abort", out, { once: true });
    });
  }
}

/** Milliseconds since a `performance.now()`. */
export function since(begin: number): number {
  return performance.now() - begin;
}

/** A number within bounds. */
export function clamp(value: number, [least, most]: readonly [number, number]): number {
  return Math.min(most, Math.max(least, value));
}
