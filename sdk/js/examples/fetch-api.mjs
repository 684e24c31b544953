// A paid API of Request and Response, as Deno.serve, Bun.serve and workers take it: everything costs 0.05 MNEE.
import { serve } from "@hono/node-server";
import { createX402, formatAmount } from "@x402/server";

const { X402_VERIFIER_URL, X402_PROVIDER_KEY, X402_PAY_TO, X402_NETWORK = "mainnet", X402_TOKEN, PORT = 3000 } = process.env;
const publicUrl = process.env.PUBLIC_URL ?? `http://127.0.0.1:${PORT}`; // as agents reach this API
const x402 = createX402({ verifierUrl: X402_VERIFIER_URL, apiKey: X402_PROVIDER_KEY, payTo: X402_PAY_TO, network: X402_NETWORK, token: X402_TOKEN, publicUrl });

const fetch = x402.handler({ price: "0.05", description: "a report" }, (request, payment) =>
  Response.json({ paid: formatAmount(payment.amount), txHash: payment.txHash }),
);
serve({ fetch, port: Number(PORT), hostname: "127.0.0.1" });
