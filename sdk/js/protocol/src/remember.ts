// Answers that are worked out once: a service sees the same few addresses and resources again and again.

/** Texts that are remembered by one function. */
const REMEMBERED = 256;

/** The same function, which remembers what it said. What it refuses is looked at each time. */
export function remembering<T>(work: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    let said = known.get(text);
    if (said === undefined) {
      said = work(text);
      if (known.size >= REMEMBERED) known.clear();
      known.set(text, said);
    }
    return said;
  };
}
