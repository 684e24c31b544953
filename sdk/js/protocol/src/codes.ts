// Stable codes for everything that can be refused. Never renamed, only added; in the order of precedence.

/** Why policy does not allow a payment. */
export const DENIALS = [
  "AGENT_DISABLED",
  "AGENT_PAUSED",
  "WORKSPACE_PAUSED",
  "POLICY_EXPIRED",
  "OUTSIDE_ACTIVE_HOURS",
  "PROVIDER_NOT_ALLOWED",
  "RECIPIENT_NOT_REGISTERED",
  "INVOICE_SIGNATURE_INVALID",
  "INVOICE_NOT_SIGNED",
  "NETWORK_NOT_ALLOWED",
  "AGENT_REQUEST_LIMIT",
  "WORKSPACE_REQUEST_LIMIT",
  "AGENT_DAILY_LIMIT",
  "AGENT_MONTHLY_LIMIT",
  "AGENT_ROLLING_LIMIT",
  "AGENT_BUDGET_EXCEEDED",
  "WORKSPACE_BUDGET_EXCEEDED",
  "RATE_LIMITED",
  "DUPLICATE_PAYMENT",
  "DUPLICATE_PURCHASE",
  "APPROVAL_REQUIRED",
] as const;

/** Why an allowed payment did not happen. */
export const PAYMENT_FAILURES = [
  "INSUFFICIENT_BALANCE",
  "INSUFFICIENT_ALLOWANCE",
  "INSUFFICIENT_GAS",
  "TOKEN_PAUSED",
  "ACCOUNT_BLOCKED",
  "QUOTE_EXPIRED",
  "QUOTE_NOT_FOUND",
  "TRANSACTION_FAILED",
  "WALLET_ERROR",
  "APPROVAL_REJECTED",
  "APPROVAL_EXPIRED",
] as const;

/** Why a proof does not verify. */
export const REFUSALS = [
  "INVALID_PROOF",
  "PROOF_EXPIRED",
  "PAYMENT_NOT_FOUND",
  "PAYMENT_PENDING",
  "INVOICE_MISMATCH",
  "AMOUNT_MISMATCH",
  "RECIPIENT_MISMATCH",
  "NETWORK_MISMATCH",
  "ALREADY_CLAIMED",
  "PAYMENT_REVERTED",
] as const;

/** Why policy does not allow a payment. */
export type Denial = (typeof DENIALS)[number];
/** Why an allowed payment did not happen. */
export type PaymentFailure = (typeof PAYMENT_FAILURES)[number];
/** Why a proof does not verify. */
export type Refusal = (typeof REFUSALS)[number];

/** Whether a text is one of a list of codes. */
export function isOneOf<Code extends string>(codes: readonly Code[], text: unknown): text is Code {
  return codes.some((code) => code === text);
}
