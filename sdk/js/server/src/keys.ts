// The gateway's public keys, as the verifier publishes them.
//
// Read again when they are old or a proof names a key that is not among them, by one request at a time and not too
// often: an invented key must not become a flood. Keys that could not be read again for too long do not count.

import { asObject, parseObject } from "../../protocol/src/json.js";
import { MAX_PROOF_LENGTH, PROOF_TYPE, type ProofClaims, readClaims } from "../../protocol/src/proof.js";
import type { Verifier } from "./verifier.js";

/** The age from which keys are read again: as long as the verifier lets them be cached. */
const REFRESH_AFTER_MS = 60_000;

/** Checks a proof with one set of keys. */
type Check = (proof: string) => Promise<ProofClaims | "unknownKey" | "notSigned">;

/** What the keys say of a proof: what it states, or that none of them signed it, or that there are none. */
export type Read = ProofClaims | "notSigned" | "noKeys";

/** Public keys and when they were read. */
export class Keys {
  readonly #verifier: Verifier;
  readonly #maxAgeMs: number;
  readonly #minRefetchMs: number;
  readonly #onError: (message: string, cause: unknown) => void;
  #held: { readonly check: Check; readonly readAt: number } | undefined;
  #askedAt: number | undefined;
  #isAsking = false;

  constructor(verifier: Verifier, maxAgeMs: number, minRefetchMs: number, onError: (message: string, cause: unknown) => void) {
    this.#verifier = verifier;
    this.#maxAgeMs = maxAgeMs;
    this.#minRefetchMs = minRefetchMs;
    this.#onError = onError;
  }

  /** Checks a proof, with fresh keys if need be. */
  async read(proof: string): Promise<Read> {
    const outcome = await this.#held?.check(proof);
    const isOld = this.#age >= Math.min(REFRESH_AFTER_MS, this.#maxAgeMs);
    if (!isOld && outcome !== undefined && outcome !== "unknownKey") return outcome;
    await this.#refetch();
    if (this.#age >= this.#maxAgeMs) return "noKeys";
    const again = await this.#held?.check(proof);
    return again === undefined ? "noKeys" : again === "unknownKey" ? "notSigned" : again;
  }

  get #age(): number {
    return this.#held === undefined ? Infinity : performance.now() - this.#held.readAt;
  }

  /** Asks for the keys, unless somebody is asking or has just asked. */
  async #refetch(): Promise<void> {
    const now = performance.now();
    const hasJustAsked = this.#askedAt !== undefined && now - this.#askedAt < this.#minRefetchMs;
    if (this.#isAsking || hasJustAsked) return;
    this.#isAsking = true;
    this.#askedAt = now;
    try {
      this.#held = { check: await checkWith(await this.#verifier.keys()), readAt: now };
    } catch (error) {
      this.#onError("the gateway's public keys could not be read", error);
    } finally {
      this.#isAsking = false;
    }
  }
}

/** Only EdDSA with a known `kid` and the right `typ` is accepted, so a proof can never choose how it is checked. */
async function checkWith(jwks: object): Promise<Check> {
  // Loaded on demand: most APIs ask the verifier and need none of it.
  const { compactVerify, createLocalJWKSet } = await import("jose");
  const keys = createLocalJWKSet(jwks as Parameters<typeof createLocalJWKSet>[0]);
  return async (proof) => {
    if (proof.length > MAX_PROOF_LENGTH) return "notSigned";
    try {
      const { payload, protectedHeader } = await compactVerify(proof, keys, { algorithms: ["EdDSA"] });
      if (protectedHeader.typ !== PROOF_TYPE || protectedHeader.kid === undefined) return "notSigned";
      const fields = parseObject(new TextDecoder().decode(payload));
      return (fields && readClaims(fields)) ?? "notSigned";
    } catch (error) {
      return asObject(error)?.["code"] === "ERR_JWKS_NO_MATCHING_KEY" ? "unknownKey" : "notSigned";
    }
  };
}
