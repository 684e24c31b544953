// The processes that services run in, one or several.

import type { Row } from "./dashboard.ts";
import { lines } from "./panels.ts";
import { over } from "./queries.ts";

const ours = "* on (instance, job) group_left () max by (instance, job) (x402_build_info)";

/** Panels are built once each: every dashboard has its own. */
export const processes = (): Row => ({
  title: "Processes",
  panels: [
    lines({
      title: "CPU",
      description: "Cores in use by each process of x402.",
      unit: "short",
      width: 8,
      queries: [over(`rate(process_cpu_seconds_total[$__rate_interval]) ${ours}`, "{{instance}}")],
    }),
    lines({
      title: "Memory",
      description: "Resident memory of each process. One that only grows for days is a leak: tell us.",
      unit: "bytes",
      width: 8,
      queries: [over(`process_resident_memory_bytes ${ours}`, "{{instance}}")],
    }),
    lines({
      title: "Open files",
      description: "Part of the files and sockets that each process may have open. At 100% no connection is taken: raise the limit (ulimit -n).",
      unit: "percentunit",
      width: 8,
      steps: [[0.8, "orange"], [0.95, "red"]],
      queries: [over(`process_open_fds / process_max_fds ${ours}`, "{{instance}}")],
    }),
  ],
});
