// The EIP-712 hash that binds a payment to its invoice: what the payment's calldata ends with.

import { hexToBytes } from "@noble/hashes/utils.js";

import { parseAddress } from "./address.js";
import { utf8 } from "./bytes.js";
import { keccak256 } from "./hash.js";
import { parseNetwork } from "./network.js";

const DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const INVOICE_TYPE = "Invoice(string invoiceId,address payTo,uint256 amount,string resource)";

/** An invoice, as far as its hash covers it. */
export interface HashedInvoice {
  readonly invoiceId: string;
  readonly payTo: string;
  /** Base units. */
  readonly amount: bigint;
  readonly resource: string;
}

/** The hash of an invoice that is paid in `token` on `network`; the memo of its transfer on the chain. */
export function invoiceHash({ invoiceId, payTo, amount, resource }: HashedInvoice, network: string, token: string): string {
  const chain = word(parseNetwork(network).chainId);
  const domain = hash(hashOf(DOMAIN_TYPE) + hashOf("x402") + hashOf("1") + chain + addressWord(token));
  const struct = hash(hashOf(INVOICE_TYPE) + hashOf(invoiceId) + addressWord(payTo) + word(amount) + hashOf(resource));
  return `0x${hash(`1901${domain}${struct}`)}`;
}

/** The hash of bytes, both in hex. */
function hash(hex: string): string {
  return keccak256(hexToBytes(hex));
}

function hashOf(text: string): string {
  return keccak256(utf8(text));
}

/** A number as the 32 bytes that the chain has for it. */
function word(number: bigint): string {
  return number.toString(16).padStart(64, "0");
}

function addressWord(address: string): string {
  return parseAddress(address).slice(2).toLowerCase().padStart(64, "0");
}
