// Proofs as the gateway hands them out, and the payments that they stand for.
//
// A proof is read without checking its signature: the gateway gave it to us over its own connection, and the
// provider has it verified. It is compared with the invoice, so that a mix-up is found here.

import { parseNetwork } from "../../protocol/src/network.js";
import { type ProofClaims, readProof } from "../../protocol/src/proof.js";
import type { Invoice } from "./invoice.js";

/** What redeems a paid invoice. Whoever has its text can use it once, so only `text` shows it. */
export class Proof {
  readonly #text: string;
  /** What it states. */
  readonly claims: ProofClaims;

  /** @internal */
  constructor(text: string, claims: ProofClaims) {
    this.#text = text;
    this.claims = claims;
  }

  /** What goes into `X-402-Proof`; what to keep if the process may stop. */
  get text(): string {
    return this.#text;
  }

  toString(): string {
    return `Proof of ${this.claims.sub}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A payment that was made, with what redeems it. */
export interface Paid {
  /** What was paid. */
  readonly invoice: Invoice;
  /** The gateway's name for the payment. */
  readonly paymentId: string;
  /** The transaction. */
  readonly txHash: string;
  /** What redeems it. */
  readonly proof: Proof;
}

/** The payment of a proof whose text was kept. Throws a `TypeError` on what is no proof. */
export function parsePaid(proof: string): Paid {
  const claims = readProof(proof);
  if (claims === undefined) throw new TypeError("the text is not a proof; keep it as `paid.proof.text` gives it");
  const { invoiceId, amount, payTo, resource } = claims;
  const network = parseNetwork(claims.network).name;
  return {
    invoice: { invoiceId, amount, payTo, network, resource, description: undefined },
    paymentId: claims.sub,
    txHash: claims.txHash,
    proof: new Proof(proof, claims),
  };
}

/** The proof, if it states that this invoice was paid. */
export function proofOf(invoice: Invoice, text: string): Proof | undefined {
  const claims = readProof(text);
  if (claims === undefined) return undefined;
  const fits =
    claims.invoiceId === invoice.invoiceId &&
    claims.amount === invoice.amount &&
    claims.payTo === invoice.payTo &&
    claims.resource === invoice.resource &&
    claims.network === parseNetwork(invoice.network).caip2;
  return fits ? new Proof(text, claims) : undefined;
}
