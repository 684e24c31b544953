// @x402/server: makes routes paid. Decides nothing about the chain: whether money moved is the verifier's to say.

export { createX402, type Verification, type X402 } from "./x402.js";
export type { Ask } from "./admission.js";
export { type AttemptStore, MemoryAttempts, type Unanswered } from "./attempts.js";
export type { OfflineOptions, Refused, ServerOptions } from "./config.js";
export type { Confirmation } from "./confirm.js";
export type { ExpressRequest, ExpressResponse, Next } from "./express.js";
export type { Offer, Price } from "./offer.js";
export { paymentOf, type VerifiedPayment } from "./payment.js";
export type { HonoContext, PaidHandler, WebHandler } from "./web.js";
export { AddressError } from "../../protocol/src/address.js";
export { AmountError, type AmountProblem, formatAmount, parseAmount } from "../../protocol/src/amount.js";
export { type Refusal, REFUSALS } from "../../protocol/src/codes.js";
export { invoiceHash, type HashedInvoice } from "../../protocol/src/invoice-hash.js";
export { NetworkError } from "../../protocol/src/network.js";
