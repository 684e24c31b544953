// The paid API of `x402 demo --sdk js`: three endpoints, three prices, made paid by the server SDK alone.
import express from "express";
import { createX402, formatAmount, paymentOf } from "@x402/server";

const { X402_VERIFIER_URL, X402_PROVIDER_KEY, X402_PAY_TO, X402_NETWORK, PORT } = process.env;
const publicUrl = `http://127.0.0.1:${PORT}`;
const x402 = createX402({ verifierUrl: X402_VERIFIER_URL, apiKey: X402_PROVIDER_KEY, payTo: X402_PAY_TO, network: X402_NETWORK, publicUrl });

function receipt(request) {
  const { paymentId, amount, txHash, logIndex, blockNumber } = paymentOf(request);
  return { paymentId, amount: formatAmount(amount), txHash, logIndex, blockNumber };
}

const app = express();
app.get("/weather", x402.express({ price: "0.01", description: "weather forecast" }), (request, response) => {
  response.json({ forecast: "clear, 19 degrees", receipt: receipt(request) });
});
app.get("/report", x402.express({ price: "0.05", description: "market report" }), (request, response) => {
  response.json({ report: "demand for paid APIs rises", receipt: receipt(request) });
});
app.post("/summary", x402.express({ price: "0.10", description: "text summary" }), express.text({ type: "*/*" }), (request, response) => {
  const summary = String(request.body).split(/\s+/).slice(0, 8).join(" ");
  response.json({ summary, receipt: receipt(request) });
});
app.listen(Number(PORT), "127.0.0.1");
