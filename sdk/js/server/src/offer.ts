// What a route sells: a price, fixed or of the request, and what buyers read.

import type { Priced } from "./admission.js";
import { checkedDescription, checkedPrice } from "./config.js";

/** A price: decimal MNEE, or base units as `bigint`. */
export type Price = string | bigint;

/** What a route sells. */
export interface Offer<R> {
  /** Fixed, or computed from the request. The same request has to cost the same when it comes back with a proof. */
  readonly price: Price | ((request: R) => Price | Promise<Price>);
  /** What buyers read: 1 to 200 printable ASCII characters. */
  readonly description: string;
}

/** Checks what can be checked before there is a request; gives the price of one. */
export function pricing<R>(offer: Offer<R>): (request: R) => Priced | Promise<Priced> {
  const { price } = offer;
  const description = checkedDescription(offer.description);
  if (typeof price === "function") {
    return async (request) => ({ price: checkedPrice(await price(request)), description });
  }
  const fixed: Priced = { price: checkedPrice(price), description };
  return () => fixed;
}
