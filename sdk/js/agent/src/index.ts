// @x402/agent: buys from paid APIs. Knows no chain and holds no wallet key: the gateway pays, the provider has
// the proof verified.

export { type AgentClient, type AgentOptions, type CallOptions, createAgentClient, paymentOf } from "./client.js";
export { type Asked, extractInvoice, type Invoice, isPaymentRequired } from "./invoice.js";
export type { Payment, Quote, Standing } from "./gateway.js";
export { type Paid, parsePaid, Proof } from "./paid.js";
export type { Step, Watcher } from "./step.js";
export {
  GatewayError,
  type GatewayTrouble,
  type HeaderProblem,
  InvoiceError,
  type Money,
  NotServedError,
  PaymentDeniedError,
  PaymentFailedError,
  PaymentPendingError,
  PaymentUnknownError,
  ProofRefusedError,
  TooExpensiveError,
  UnusableRequestError,
  WrongProofError,
  X402Error,
} from "./errors.js";
export { AddressError } from "../../protocol/src/address.js";
export { AmountError, type AmountProblem, formatAmount, parseAmount } from "../../protocol/src/amount.js";
export { type Denial, DENIALS, PAYMENT_FAILURES, type PaymentFailure } from "../../protocol/src/codes.js";
export { invoiceHash, type HashedInvoice } from "../../protocol/src/invoice-hash.js";
export { NameError } from "../../protocol/src/names.js";
export { NetworkError } from "../../protocol/src/network.js";
export type { ProofClaims } from "../../protocol/src/proof.js";
