// Addresses from text. Mixed case is a checksum (EIP-55) and must be right; one case alone carries none.

import { utf8 } from "./bytes.js";
import { keccak256 } from "./hash.js";
import { remembering } from "./remember.js";

/** Why a text is not an address. */
export type AddressProblem = "NOT_ADDRESS" | "WRONG_CHECKSUM";

/** A text that is not an address. */
export class AddressError extends Error {
  override readonly name = "AddressError";
  readonly problem: AddressProblem;

  constructor(problem: AddressProblem) {
    super(
      problem === "NOT_ADDRESS"
        ? "an address is 0x followed by 40 hex digits"
        : "the address has a wrong EIP-55 checksum; check every digit",
    );
    this.problem = problem;
  }
}

/** The address that nobody has: paying it destroys the money. */
export const ZERO_ADDRESS = "0x0000000000000000000000000000000000000000";

/** Reads an address, refusing a wrong checksum; gives its EIP-55 form, so that equal addresses are equal texts. */
export const parseAddress = remembering((text) => {
  if (typeof text !== "string" || !/^0x[0-9a-fA-F]{40}$/.test(text)) throw new AddressError("NOT_ADDRESS");
  const right = checksummed(text.toLowerCase());
  const mixed = /[A-F]/.test(text) && /[a-f]/.test(text.slice(2));
  if (mixed && right !== text) throw new AddressError("WRONG_CHECKSUM");
  return right;
});

function checksummed(lower: string): string {
  const digits = lower.slice(2);
  const hash = keccak256(utf8(digits));
  let text = "0x";
  for (let index = 0; index < digits.length; index += 1) {
    const digit = digits.charAt(index);
    text += hash.charAt(index) >= "8" ? digit.toUpperCase() : digit;
  }
  return text;
}
