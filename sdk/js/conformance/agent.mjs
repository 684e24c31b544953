// What a test asks of an agent: one operation as JSON in X402_OPERATION, its outcome as JSON on stdout.
import { createAgentClient, parsePaid, paymentOf } from "@x402/agent";

const { X402_GATEWAY_URL, X402_AGENT_KEY, X402_OPERATION } = process.env;
const { operation, url, deadlineMs = 60_000, maxAmount = "1", paymentId, proof } = JSON.parse(X402_OPERATION);
const agent = createAgentClient({ gatewayUrl: X402_GATEWAY_URL, apiKey: X402_AGENT_KEY, maxAmount, deadlineMs });

const operations = {
  fetch: () => agent.fetchWithX402(url),
  resume: () => agent.resume(paymentId, url),
  redeem: () => agent.retryWithProof(parsePaid(proof), url),
};

async function outcome() {
  try {
    const response = await operations[operation]();
    const paid = paymentOf(response);
    const body = await response.json();
    return { status: response.status, body, txHash: paid?.txHash, paymentId: paid?.paymentId, proof: paid?.proof.text };
  } catch (error) {
    const { name, code, money, reason, paymentId } = error;
    return { error: { name, code, money, reason, paymentId } };
  }
}

console.log(JSON.stringify(await outcome()));
