// In: the verifier's answer. Out: a payment that fits the invoice, or the contradiction.
//
// The verifier compares too. It is compared again here, so that a request is served only for its own payment even
// when a proxy, a cache or a mistake answers in the verifier's place.

import { parseAddress } from "../../protocol/src/address.js";
import { parseAmount } from "../../protocol/src/amount.js";
import { type Fields, read, text, whole } from "../../protocol/src/json.js";
import { parseHash } from "../../protocol/src/proof.js";
import type { Terms } from "./invoice.js";
import type { VerifiedPayment } from "./payment.js";

/** A positive answer that does not fit the question. */
export class ContradictionError extends Error {
  override readonly name = "ContradictionError";
}

/** Compares a positive answer with everything that was asked. */
export function judge(invoiceId: string, terms: Terms, minConfirmations: number, answer: Fields): VerifiedPayment {
  const contradictions: ReadonlyArray<readonly [boolean, string]> = [
    [answer["verified"] !== true, "it does not say that the proof is verified"],
    [text(answer, "invoiceId") !== invoiceId, "it is about another invoice"],
    [read(parseAmount, text(answer, "amount")) !== terms.price, "it is about another amount"],
    [read(parseAddress, text(answer, "payTo")) !== terms.payTo, "it is about another payee"],
    [text(answer, "resource") !== terms.resource, "it is about another resource"],
    [(whole(answer, "confirmations") ?? -1) < minConfirmations, "it has fewer confirmations than were asked for"],
    [text(answer, "claimedAt") === undefined, "it was not claimed, so it could be used again"],
  ];
  const contradiction = contradictions.find(([holds]) => holds);
  if (contradiction !== undefined) throw new ContradictionError(`the verifier's answer contradicts the question: ${contradiction[1]}`);
  const payment = {
    paymentId: text(answer, "paymentId"),
    invoiceId,
    amount: terms.price,
    payer: read(parseAddress, text(answer, "payer")),
    txHash: read(parseHash, text(answer, "txHash")),
    logIndex: whole(answer, "logIndex"),
    blockNumber: whole(answer, "blockNumber"),
    confirmations: whole(answer, "confirmations"),
    finalized: typeof answer["finalized"] === "boolean" ? answer["finalized"] : undefined,
    resource: terms.resource,
    confirmed: true,
  };
  const missing = Object.entries(payment).find(([, value]) => value === undefined);
  if (missing !== undefined) throw new ContradictionError(`the verifier's answer lacks ${missing[0]}`);
  return payment as VerifiedPayment;
}
