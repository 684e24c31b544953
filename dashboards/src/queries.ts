// What panels ask, and of which data source. Sources are variables of the dashboard, so that no file knows an installation's uids.

import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import type { DataSourceRef } from "@grafana/grafana-foundation-sdk/common";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";

/** The type that Grafana knows the ClickHouse plugin by. */
export const CLICKHOUSE_TYPE = "grafana-clickhouse-datasource";
const CLICKHOUSE_VERSION = "4.20.0";

export const PROMETHEUS: DataSourceRef = { type: "prometheus", uid: "${prometheus}" };
export const CLICKHOUSE: DataSourceRef = { type: CLICKHOUSE_TYPE, uid: "${clickhouse}" };

/** A question; a panel gives each of its questions a letter. */
export interface Query {
  source: DataSourceRef;
  target(refId: string): Builder<Dataquery>;
}

/** PromQL over the dashboard's time. A legend such as `{{method}}` names the series by a label. */
export function over(expr: string, legend: string): Query {
  return { source: PROMETHEUS, target: (refId) => prometheus(expr, legend, refId).range() };
}

/** PromQL at the end of the dashboard's time. */
export function now(expr: string, legend: string): Query {
  return { source: PROMETHEUS, target: (refId) => prometheus(expr, legend, refId).instant() };
}

function prometheus(expr: string, legend: string, refId: string): DataqueryBuilder {
  return new DataqueryBuilder()
    .datasource(PROMETHEUS)
    .expr(line(expr))
    .legendFormat(legend)
    .format(PromQueryFormat.TimeSeries)
    .refId(refId);
}

/** SQL whose rows are points: a column `time`, names in text columns, values in numbers; sorted by time. */
export function points(sql: string): Query {
  return clickhouse(sql, 0, "timeseries");
}

/** SQL whose rows are rows. */
export function rows(sql: string): Query {
  return clickhouse(sql, 1, "table");
}

function clickhouse(sql: string, format: number, queryType: string): Query {
  const target = (refId: string): Builder<Dataquery> => ({
    build: () => ({
      _implementsDataqueryVariant: () => undefined,
      datasource: CLICKHOUSE,
      editorType: "sql",
      format,
      pluginVersion: CLICKHOUSE_VERSION,
      queryType,
      rawSql: line(sql),
      refId,
    }),
  });
  return { source: CLICKHOUSE, target };
}

/** One line, however it is laid out here: the JSON is read in diffs. */
export function line(text: string): string {
  return text.split(/\s+/).join(" ").trim();
}
