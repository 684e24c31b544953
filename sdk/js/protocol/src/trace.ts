// Which trace a request belongs to: W3C `traceparent` and `tracestate`, handed on as they came.

/** The headers that name a trace; none of them outside of one. */
export type Trace = Readonly<Record<string, string>>;

/** Reads them. What is not in the standard's form is nobody's trace, and is not handed on. */
export function traceOf(header: (name: string) => unknown): Trace {
  const [traceparent, tracestate] = [header("traceparent"), header("tracestate")];
  if (typeof traceparent !== "string" || !/^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/.test(traceparent)) return {};
  return typeof tracestate === "string" && /^[ -~]{1,512}$/.test(tracestate) ? { traceparent, tracestate } : { traceparent };
}
