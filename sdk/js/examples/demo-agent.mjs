// The agent of `x402 demo --sdk js`: buys one thing, prints each step to stderr and what it paid to stdout.
import { createAgentClient, formatAmount, paymentOf } from "@x402/agent";

const { X402_GATEWAY_URL, X402_AGENT_KEY } = process.env;
const [method, url, maxAmount, body] = process.argv.slice(2);

const words = {
  requested: ({ method, url, status }) => [`${method} ${url}`, `answered ${status}`],
  paymentRequired: ({ invoice }) => [
    "402 read",
    `${formatAmount(invoice.amount)} MNEE to ${invoice.payTo} on ${invoice.network}, invoice ${invoice.invoiceId}`,
  ],
  quoted: ({ quote }) => ["quote allowed", `policy holds; ${formatAmount(quote.remaining.daily)} MNEE left today`],
  paying: ({ paymentId }) => ["payment under way", paymentId],
  paid: ({ paid }) => ["payment settled", `seen in the index: transaction ${paid.txHash}`],
  resumed: ({ invoice }) => ["purchase goes on", invoice.invoiceId],
  notVerifiedYet: ({ code, retryAfterMs }) => ["not verified yet", `${code}; again in ${retryAfterMs} ms`],
  served: ({ status }) => ["proof verified", `claimed once, resource served: ${status}`],
};

function onStep(step) {
  const [what, proves] = words[step.step](step);
  console.error(`${step.took.toFixed(1).padStart(6)}ms  ${what.padEnd(18)} ${proves}`);
}

const agent = createAgentClient({ gatewayUrl: X402_GATEWAY_URL, apiKey: X402_AGENT_KEY, maxAmount, onStep });
const response = await agent.fetchWithX402(url, { method, ...(body && { body }) });
const paid = paymentOf(response);
console.log(JSON.stringify({ status: response.status, txHash: paid?.txHash, body: await response.text() }));
