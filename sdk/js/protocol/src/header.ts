// Headers of the 402 answer and of the retry.

/** The invoice's id, chosen by the provider. */
export const INVOICE_ID = "x-402-invoice-id";
/** The price in MNEE, decimal. */
export const AMOUNT = "x-402-amount";
/** The provider's address. */
export const PAY_TO = "x-402-pay-to";
/** The network: a short name or a CAIP-2 id. */
export const NETWORK = "x-402-network";
/** What is bought, in words. */
export const DESCRIPTION = "x-402-description";
/** Always `MNEE`. */
export const CURRENCY = "x-402-currency";
/** The provider's signature over the invoice. */
export const SIGNATURE = "x-402-signature";
/** The proof, on the retry. */
export const PROOF = "x-402-proof";

/** The only currency there is. */
export const MNEE = "MNEE";
