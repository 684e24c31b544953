// `tests/vectors.json`: written by the Rust code, the same for every implementation.

import { readFileSync } from "node:fs";

/** One vector of a section. */
export type Vector = Readonly<Record<string, any>>;

// The tests run from `.build/<package>/test`.
const file = new URL("../../../../../tests/vectors.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as Record<string, any>;

/** The vectors of a section; there are always some. */
export function section(name: string): Vector[] {
  const found = vectors[name] as Vector[] | undefined;
  if (!Array.isArray(found) || found.length === 0) throw new Error(`tests/vectors.json has no ${name}`);
  return found;
}

/** The proofs and the keys that some of them are signed with. */
export function proofs(): { jwks: object; texts: Vector[] } {
  return vectors["proofs"] as { jwks: object; texts: Vector[] };
}
