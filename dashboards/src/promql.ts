// PromQL that dashboards share.

/** A quantile of a histogram in seconds, by labels such as `, route`, of the series that a selector leaves. */
export function quantile(of: number, histogram: string, by = "", selector = ""): string {
  return `histogram_quantile(${of}, sum by (le${by}) (rate(${histogram}_bucket${selector}[$__rate_interval])))`;
}

/** What a counter grew by in the time shown. */
export function grown(counter: string): string {
  return `sum(increase(${counter}[$__range]))`;
}

/** What counters grow by a second. */
export function rate(counter: string, by = ""): string {
  return `sum${by && ` by (${by})`} (rate(${counter}[$__rate_interval]))`;
}

/** Seconds since a time that is 0 while there is none; 0 then. */
export function since(timestamp: string): string {
  return `(time() - ${timestamp}) * (${timestamp} > bool 0)`;
}
