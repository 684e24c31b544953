// What is chosen at the top of a dashboard.

import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  QueryVariableBuilder,
  TextBoxVariableBuilder,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";

import { CLICKHOUSE, line } from "./queries.ts";
import { chosenOf } from "./sql.ts";

function accounts(kind: "workspace" | "agent" | "provider", label: string, where = ""): Builder<VariableModel> {
  const rawSql = line(`SELECT id, name FROM accounts WHERE kind = '${kind}' ${where} ORDER BY name`);
  return new QueryVariableBuilder(kind)
    .label(label)
    .datasource(CLICKHOUSE)
    .query({ editorType: "sql", queryType: "sql", rawSql, refId: `var-${kind}` })
    .definition(rawSql)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.Disabled)
    .multi(true)
    .includeAll(true)
    .current({ text: "All", value: "$__all", selected: true });
}

const ofWorkspace = `AND ${chosenOf("workspace")}`;

/** Workspaces, by name. */
export const workspace = accounts("workspace", "Workspace");
/** Their agents. */
export const agent = accounts("agent", "Agent", ofWorkspace);
/** Their providers. */
export const provider = accounts("provider", "Provider", ofWorkspace);

/** Where transactions and addresses can be looked up. */
export const explorer = new TextBoxVariableBuilder("explorer")
  .label("Explorer")
  .description("Links of transactions and addresses begin with this.")
  .defaultValue("https://etherscan.io")
  .current({ text: "https://etherscan.io", value: "https://etherscan.io", selected: true });
