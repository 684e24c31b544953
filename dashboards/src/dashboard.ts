// What the dashboards share: sources, links to each other, time, and panels in rows with numbers of their own.

import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  RowBuilder,
  type VariableModel,
} from "@grafana/grafana-foundation-sdk/dashboard";

import { CLICKHOUSE_TYPE } from "./queries.ts";

/** Panels under a title. Widths fill lines of 24 columns. */
export interface Row {
  title: string;
  panels: Builder<Panel>[];
}

interface Plan {
  uid: string;
  title: string;
  description: string;
  /** How far back it looks at first, such as `now-6h`. */
  from: string;
  refresh: string;
  sources: ("clickhouse" | "prometheus")[];
  variables?: Builder<VariableModel>[];
  rows: Row[];
}

const SOURCES = {
  clickhouse: { label: "ClickHouse", type: CLICKHOUSE_TYPE },
  prometheus: { label: "Prometheus", type: "prometheus" },
};

/** A dashboard as Grafana imports it. */
export function dashboard(plan: Plan): Dashboard {
  const builder = new DashboardBuilder(plan.title)
    .uid(plan.uid)
    .description(plan.description)
    .tags(["x402"])
    .time({ from: plan.from, to: "now" })
    .timezone("utc")
    .refresh(plan.refresh)
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .link(
      new DashboardLinkBuilder("x402")
        .type(DashboardLinkType.Dashboards)
        .tags(["x402"])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true)
        .icon("external link"),
    );
  for (const name of plan.sources) {
    const { label, type } = SOURCES[name];
    builder.withVariable(new DatasourceVariableBuilder(name).label(label).type(type));
  }
  for (const variable of plan.variables ?? []) builder.withVariable(variable);
  for (const row of plan.rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  const built = builder.build();
  for (const link of built.links ?? []) delete link.placement;
  built.panels?.forEach((panel, index) => {
    panel.id = index + 1;
  });
  return built;
}
