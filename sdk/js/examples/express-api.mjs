// A paid API with Express: GET /report costs 0.05 MNEE.
import express from "express";
import { createX402, formatAmount, paymentOf } from "@x402/server";

const { X402_VERIFIER_URL, X402_PROVIDER_KEY, X402_PAY_TO, X402_NETWORK = "mainnet", X402_TOKEN, PORT = 3000 } = process.env;
const publicUrl = process.env.PUBLIC_URL ?? `http://127.0.0.1:${PORT}`; // as agents reach this API
const x402 = createX402({ verifierUrl: X402_VERIFIER_URL, apiKey: X402_PROVIDER_KEY, payTo: X402_PAY_TO, network: X402_NETWORK, token: X402_TOKEN, publicUrl });

const app = express();
app.get("/report", x402.express({ price: "0.05", description: "a report" }), (request, response) => {
  const { amount, txHash } = paymentOf(request);
  response.json({ paid: formatAmount(amount), txHash });
});
app.listen(Number(PORT), "127.0.0.1");
