// Networks: CAIP-2 ids of the `eip155` namespace, with the short names that the protocol gives some of them.

const NAMED: ReadonlyArray<readonly [bigint, string]> = [
  [1n, "mainnet"],
  [11155111n, "sepolia"],
  [31337n, "devnet"],
];

const MAX_CHAIN_ID = (1n << 64n) - 1n;

/** A text that names no network. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";

  constructor() {
    super("a network is mainnet, sepolia, devnet or a CAIP-2 id such as eip155:1");
  }
}

/** An EVM chain by its id. */
export interface Network {
  readonly chainId: bigint;
  /** The short name, or the CAIP-2 id of a network without one. */
  readonly name: string;
  /** `eip155:<chain id>`. */
  readonly caip2: string;
}

/** Reads a short name or a CAIP-2 id. */
export function parseNetwork(text: string): Network {
  const named = NAMED.find(([, name]) => name === text);
  if (named !== undefined) return network(named[0]);
  const digits = typeof text === "string" ? /^eip155:([1-9][0-9]{0,19})$/.exec(text)?.[1] : undefined;
  const chainId = digits === undefined ? MAX_CHAIN_ID + 1n : BigInt(digits);
  if (chainId > MAX_CHAIN_ID) throw new NetworkError();
  return network(chainId);
}

function network(chainId: bigint): Network {
  const caip2 = `eip155:${chainId}`;
  const name = NAMED.find(([id]) => id === chainId)?.[1] ?? caip2;
  return { chainId, name, caip2 };
}
