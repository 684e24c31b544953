// Deadlines, pauses, and the caller's way out.

/** A purchase's time: when it has to be over, and the caller's signal to stop. */
export class Deadline {
  readonly #end: number;
  readonly signal: AbortSignal | undefined;

  constructor(milliseconds: number, signal: AbortSignal | undefined) {
    this.#end = performance.now() + milliseconds;
    this.signal = signal;
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
