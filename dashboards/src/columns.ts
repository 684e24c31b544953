// How columns of tables are shown.

import type { DynamicConfigValue } from "@grafana/grafana-foundation-sdk/dashboard";

import { absolute, property } from "./panels.ts";

/** Amounts of MNEE, to draw. */
export const MNEE = "currency:financial: MNEE:suffix";

/** A float of MNEE. */
export const money: DynamicConfigValue[] = [property("unit", MNEE), property("decimals", 2)];

/** Text of an exact amount, aligned as numbers are. */
export const exactly: DynamicConfigValue[] = [property("custom.align", "right")];

/** A part of a whole, coloured as it nears it. */
export const part: DynamicConfigValue[] = [
  property("unit", "percentunit"),
  property("decimals", 1),
  property("max", 1),
  property("min", 0),
  property("custom.cellOptions", { type: "gauge", mode: "basic", valueDisplayMode: "text" }),
  property("thresholds", absolute("green", [[0.8, "orange"], [1, "red"]])),
];

/** Whole numbers with a column of so many pixels. */
export function count(pixels: number): DynamicConfigValue[] {
  return [property("unit", "locale"), wide(pixels)];
}

/** A time. */
export const time: DynamicConfigValue[] = [property("unit", "dateTimeAsIso"), property("custom.width", 170)];

/** A transaction's or an address's hash, which leads to the explorer. */
export function link(what: "tx" | "address", width = 200): DynamicConfigValue[] {
  const url = `\${explorer}/${what}/\${__value.raw}`;
  return [property("links", [{ title: "Open in the explorer", url, targetBlank: true }]), wide(width)];
}

/** So many pixels. */
export function wide(pixels: number): DynamicConfigValue {
  return property("custom.width", pixels);
}
