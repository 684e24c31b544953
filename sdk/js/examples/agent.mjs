// An agent that buys: node agent.mjs https://api.example.com/report
import { createAgentClient, formatAmount, paymentOf } from "@x402/agent";

const { X402_GATEWAY_URL, X402_AGENT_KEY } = process.env;
const { fetchWithX402 } = createAgentClient({ gatewayUrl: X402_GATEWAY_URL, apiKey: X402_AGENT_KEY, maxAmount: "0.10" });

const response = await fetchWithX402(process.argv[2]);
const paid = paymentOf(response);
if (paid) console.error(`paid ${formatAmount(paid.invoice.amount)} MNEE in ${paid.txHash}`);
console.log(await response.text());
