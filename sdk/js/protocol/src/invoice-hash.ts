// The EIP-712 hash that binds a payment to its invoice: what the payment's calldata ends with.

import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { parseAddress } from "./address.js";
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
export function invoiceHash(invoice: HashedInvoice, network: string, token: string): string {
  const domain = keccak_256(
    concatBytes(
      hashOf(DOMAIN_TYPE),
      hashOf("x402"),
      hashOf("1"),
      word(parseNetwork(network).chainId),
      addressWord(token),
    ),
  );
  const struct = keccak_256(
    concatBytes(
      hashOf(INVOICE_TYPE),
      hashOf(invoice.invoiceId),
      addressWord(invoice.payTo),
      word(invoice.amount),
      hashOf(invoice.resource),
    ),
  );
  return `0x${bytesToHex(keccak_256(concatBytes(Uint8Array.of(0x19, 0x01), domain, struct)))}`;
}

function hashOf(text: string): Uint8Array {
  return keccak_256(utf8ToBytes(text));
}

/** A number as the 32 bytes that the chain has for it. */
function word(number: bigint): Uint8Array {
  return hexToBytes(number.toString(16).padStart(64, "0"));
}

function addressWord(address: string): Uint8Array {
  return hexToBytes(parseAddress(address).slice(2).toLowerCase().padStart(64, "0"));
}
