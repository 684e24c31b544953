// The paid API of ../examples/fetch-api.mjs as Deno, Bun and workers take it: an exported `fetch`, and no module of Node's.
import { createX402, formatAmount } from "@x402/server";

let paid;

/** The API by these settings: a worker's bindings, or a process's environment. */
function open({ X402_VERIFIER_URL, X402_PROVIDER_KEY, X402_PAY_TO, X402_NETWORK, X402_TOKEN, PUBLIC_URL }) {
  const x402 = createX402({ verifierUrl: X402_VERIFIER_URL, apiKey: X402_PROVIDER_KEY, payTo: X402_PAY_TO, network: X402_NETWORK, token: X402_TOKEN, publicUrl: PUBLIC_URL });
  return x402.handler({ price: "0.05", description: "a report" }, (request, payment) =>
    Response.json({ paid: formatAmount(payment.amount), txHash: payment.txHash }),
  );
}

export default {
  hostname: "127.0.0.1",
  fetch(request, bindings) {
    paid ??= open("PUBLIC_URL" in (bindings ?? {}) ? bindings : process.env);
    return paid(request);
  },
};
