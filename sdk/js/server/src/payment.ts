// A payment that was verified for one very request.

/** A payment that was verified for one very request. */
export interface VerifiedPayment {
  /** The gateway's name for the payment. */
  readonly paymentId: string;
  /** The invoice that it paid. */
  readonly invoiceId: string;
  /** How much, in base units: the price of the request. */
  readonly amount: bigint;
  /** The treasury that paid. */
  readonly payer: string;
  /** The transaction. */
  readonly txHash: string;
  /** Which log of its block. */
  readonly logIndex: number;
  /** The block. */
  readonly blockNumber: number;
  /** Blocks from its own to the index's tip, both counted. */
  readonly confirmations: number;
  /** Whether the chain has finalized it. */
  readonly finalized: boolean;
  /** Method and URL that it bought. */
  readonly resource: string;
  /** Whether the verifier has said so. False only for what the offline check serves; then `confirmations` is 0. */
  readonly confirmed: boolean;
}

const payments = new WeakMap<object, VerifiedPayment>();

/** The payment of a request: of an Express request, a Hono context or a `Request`. Throws outside a paid route. */
export function paymentOf(request: object): VerifiedPayment {
  const payment = payments.get(request);
  if (payment === undefined) throw new TypeError("the request was not paid for: put the paid middleware before this handler");
  return payment;
}

/** Makes `paymentOf` know. */
export function attach(request: object, payment: VerifiedPayment): void {
  payments.set(request, payment);
}
