// Proofs of tests: their form is right, their signature is of nobody.

export const PAY_TO = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
export const PAYER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
export const TOKEN = "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF";
export const TX_HASH = `0x${"07".repeat(32)}`;

/** Claims that pay 0.05 MNEE. */
export function claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    iss: "http://127.0.0.1:4020",
    sub: "pay_1",
    iat: 1_700_000_000,
    exp: 4_000_000_000,
    invoiceId: "inv_1",
    amount: "50000000000000000",
    asset: TOKEN,
    payTo: PAY_TO,
    payer: PAYER,
    network: "eip155:31337",
    txHash: TX_HASH,
    logIndex: 3,
    blockNumber: 9,
    resource: "GET https://api.example.com/report",
    ...changes,
  };
}

/** A proof of these claims. */
export function unsignedProof(changes: Record<string, unknown> = {}): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "EdDSA", typ: "x402-proof+jwt", kid: "k" })}.${part(claims(changes))}.AAAA`;
}
