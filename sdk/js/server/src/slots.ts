// A number of places; who finds none waits for a while, first come, first served.

/** Gives a place back. */
export type Release = () => void;

/** Places that are taken and given back. */
export class Slots {
  #free: number;
  readonly #waiting: Array<() => void> = [];

  constructor(size: number) {
    this.#free = size;
  }

  /** A place, if one is free. */
  tryTake(): Release | undefined {
    if (this.#free === 0) return undefined;
    this.#free -= 1;
    return this.#release();
  }

  /** A place, if one gets free in time. */
  async take(milliseconds: number): Promise<Release | undefined> {
    return new Promise((resolve) => {
      const enter = (): void => {
        clearTimeout(timer);
        resolve(this.#release());
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        resolve(undefined);
      }, milliseconds);
      this.#waiting.push(enter);
    });
  }

  #release(): Release {
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
  }
}
