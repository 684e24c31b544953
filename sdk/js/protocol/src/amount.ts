// Amounts of MNEE: whole base units (10^-18 MNEE) as `bigint`, decimal text at the edges.
//
// Nothing here rounds or meets a float: what does not fit is an error, never another amount.

/** Decimals of MNEE. */
export const DECIMALS = 18;

/** 78 digits hold 2^256; a longer text is refused before it is read. */
const MAX_TEXT_LENGTH = 80;

const MAX_UNITS = (1n << 256n) - 1n;

/** Why a text is not an amount. */
export type AmountProblem = "NOT_DECIMAL" | "TOO_PRECISE" | "TOO_LARGE";

const WORDS: Record<AmountProblem, string> = {
  NOT_DECIMAL: 'an amount is a string of decimal digits with at most one point, such as "0.05"',
  TOO_PRECISE: "MNEE has 18 decimals; the amount has more",
  TOO_LARGE: "the amount does not fit in 256 bits",
};

/** A text that is not an amount. */
export class AmountError extends Error {
  override readonly name = "AmountError";
  readonly problem: AmountProblem;

  constructor(problem: AmountProblem) {
    super(WORDS[problem]);
    this.problem = problem;
  }
}

/** Reads decimal MNEE such as "0.05" into base units, exactly. */
export function parseAmount(text: string): bigint {
  // A number has been a float before it came here, whatever the types say.
  if (typeof text !== "string") throw new AmountError("NOT_DECIMAL");
  if (text.length > MAX_TEXT_LENGTH) throw new AmountError("TOO_LARGE");
  const match = /^(0|[1-9][0-9]*)(?:\.([0-9]+))?$/.exec(text);
  if (match === null) throw new AmountError("NOT_DECIMAL");
  const [, whole = "", fraction = ""] = match;
  if (fraction.length > DECIMALS) throw new AmountError("TOO_PRECISE");
  return bounded(BigInt(whole + fraction.padEnd(DECIMALS, "0")));
}

/** Reads a whole number of base units in decimal digits, as proofs write them. */
export function parseBaseUnits(text: string): bigint {
  if (typeof text !== "string" || !/^[0-9]+$/.test(text)) throw new AmountError("NOT_DECIMAL");
  if (text.length > MAX_TEXT_LENGTH) throw new AmountError("TOO_LARGE");
  return bounded(BigInt(text));
}

/** What a caller means by an amount: decimal MNEE as text, or base units as `bigint`. */
export function toBaseUnits(amount: string | bigint): bigint {
  if (typeof amount !== "bigint") return parseAmount(amount);
  if (amount < 0n) throw new AmountError("NOT_DECIMAL");
  return bounded(amount);
}

/** Base units as decimal MNEE, without trailing zeros. */
export function formatAmount(units: bigint): string {
  const digits = bounded(units).toString().padStart(DECIMALS + 1, "0");
  const whole = digits.slice(0, -DECIMALS);
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, "");
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

function bounded(units: bigint): bigint {
  if (units > MAX_UNITS) throw new AmountError("TOO_LARGE");
  return units;
}
