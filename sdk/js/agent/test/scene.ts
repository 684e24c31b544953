// A provider and a gateway that misbehave by script, and a client between them.

import { type AgentClient, type AgentOptions, createAgentClient } from "../src/index.js";
import { PAY_TO, TX_HASH, unsignedProof } from "../../testing/proof.js";
import { type Reply, type StandIn } from "../../testing/stand-in.js";

export const KEY = "x402_agent_0011223344556677_secret";

export function client(gateway: StandIn, options: Partial<AgentOptions> = {}): AgentClient {
  return createAgentClient({ gatewayUrl: gateway.url, apiKey: KEY, maxAmount: "0.05", deadlineMs: 2_500, ...options });
}

export const ORDER: RequestInit = { method: "POST", body: "the order" };

export function orderUrl(provider: StandIn): string {
  return `${provider.url}/report?private=1`;
}

export function paymentRequired(changes: Record<string, string | string[]> = {}): Reply {
  const headers = {
    "x-402-invoice-id": "inv_1",
    "x-402-amount": "0.05",
    "x-402-pay-to": PAY_TO,
    "x-402-network": "devnet",
    "x-402-description": "a report",
    "x-402-currency": "MNEE",
    ...changes,
  };
  return { status: 402, body: { error: "PAYMENT_REQUIRED" }, headers };
}

export const QUOTED: Reply = {
  status: 200,
  body: {
    allowed: true,
    quoteId: "quote_1",
    expiresAt: "2026-01-01T00:00:00Z",
    remaining: { daily: "1", monthly: "2", workspaceMonthly: "3.5" },
  },
};

export function proofFor(provider: StandIn, changes: Record<string, unknown> = {}): string {
  return unsignedProof({ resource: `POST ${provider.url}/report`, ...changes });
}

export function settled(proof: string): Reply {
  return { status: 200, body: { success: true, status: "settled", paymentId: "pay_1", invoiceId: "inv_1", txHash: TX_HASH, proof } };
}

export function pending(retryAfterMs: number, reason?: string): Reply {
  return { status: 202, body: { status: "pending", paymentId: "pay_1", txHash: TX_HASH, retryAfterMs, reason } };
}

export function view(provider: StandIn, status: string, more: Record<string, unknown> = {}): Reply {
  const body = {
    paymentId: "pay_1",
    agentId: "ag_1",
    status,
    invoiceId: "inv_1",
    amount: "0.05",
    payTo: PAY_TO,
    network: "devnet",
    resource: `POST ${provider.url}/report`,
    txHash: TX_HASH,
    createdAt: "2026-01-01T00:00:00Z",
    updatedAt: "2026-01-01T00:00:00Z",
    ...more,
  };
  return { status: 200, body };
}

export const REPORT: Reply = { status: 200, body: "the report" };

/** The error of a promise that has to fail. */
export async function errorOf<E>(promise: Promise<unknown>, kind: abstract new (...rest: never[]) => E): Promise<E> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`no ${kind.name} was thrown`);
}
