// SQL that dashboards share. Whatever is exact stays in integers and decimals; only what is drawn or estimated becomes a float.

/** Whom the dashboard is about, by its variables. */
export const chosen = [chosenOf("workspace"), chosenOf("agent"), chosenOf("provider")].join(" AND ");

/** The same for one of them. */
export function chosenOf(kind: "workspace" | "agent" | "provider"): string {
  return `$__conditionalAll(${kind}_id IN (\${${kind}:singlequote}), $${kind})`;
}

/** Rows of sums by hour or day in the time shown; the first bucket is whole. */
export const inHours = "hour >= toStartOfHour($__fromTime) AND hour <= $__toTime";
export const inDays = "day >= toDate($__fromTime) AND day <= toDate($__toTime)";

/** As many seconds as are shown. */
export const span = "dateDiff('second', $__fromTime, $__toTime)";

/** Base units as a float of MNEE (or wei as ether), to draw. */
export function drawn(units: string): string {
  return `(${units}) / 1e18`;
}

/** Base units as text of MNEE (or wei as ether), to the last digit. */
export function exact(units: string): string {
  return `toString(toDecimal256(${units}, 18) / toDecimal256('1000000000000000000', 0))`;
}

/** Raw bytes as people write them. */
export function hex(bytes: string): string {
  return `concat('0x', lower(hex(${bytes})))`;
}

/** The newest name of an account, or its id. */
export function named(kind: "workspace" | "agent" | "provider", id = `${kind}_id`): string {
  const accounts = `(SELECT (groupArray(id), groupArray(name)) FROM accounts WHERE kind = '${kind}')`;
  const text = `toString(${id})`;
  return `transform(${text}, ${accounts}.1::Array(String), ${accounts}.2::Array(String), ${text})`;
}

/** An agent's name after its workspace's: agents of two workspaces may be called the same. */
export function agentNamed(workspaceId: string): string {
  return `concat(${named("workspace", workspaceId)}, ' / ', ${named("agent")})`;
}

/** The same where there is a column of workspaces. */
export const agentName = agentNamed("workspace_id");

/** A provider's name; payees that nobody registered are one. */
export const providerName = `if(provider_id = '', 'not registered', ${named("provider")})`;
