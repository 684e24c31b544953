// The kinds of panel that the dashboards are made of. Each says everything that Grafana would otherwise assume: unit, thresholds, legend.

import { PanelBuilder as BarGauge } from "@grafana/grafana-foundation-sdk/bargauge";
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  AxisPlacement,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphDrawStyle,
  GraphGradientMode,
  LegendDisplayMode,
  LegendPlacement,
  LineInterpolation,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableCellHeight,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  type DynamicConfigValue,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { PanelBuilder as Stat } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as Table } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeSeries } from "@grafana/grafana-foundation-sdk/timeseries";

import type { Query } from "./queries.ts";

/** From which value on a colour holds. */
export type Step = [from: number, color: string];

/** Bars in a chart at most: more are a smear. */
const BARS = 90;

/** What every panel says. */
interface Common {
  title: string;
  /** What it tells, and what to do when it looks wrong. */
  description: string;
  unit: string;
  /** Columns, of 24. */
  width: number;
  queries: Query[];
  decimals?: number;
  /** Colour below every step. */
  base?: string;
  steps?: Step[];
  /** Name of every value; `${__field.labels.x}` is its label x. */
  name?: string;
  overrides?: Record<string, DynamicConfigValue[]>;
}

interface Any {
  title(title: string): this;
  description(description: string): this;
  unit(unit: string): this;
  span(width: number): this;
  height(height: number): this;
  decimals(decimals: number): this;
  displayName(name: string): this;
  datasource(source: Query["source"]): this;
  withTarget(target: ReturnType<Query["target"]>): this;
  thresholds(thresholds: ThresholdsConfigBuilder): this;
  overrideByName(name: string, properties: DynamicConfigValue[]): this;
}

/** One number. */
export function stat(panel: Common & { graph?: boolean }, text = BigValueTextMode.Value): Builder<Panel> {
  return common(new Stat(), panel, 4)
    .textMode(text)
    .wideLayout(false)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false).fields(""))
    .graphMode(panel.graph ? BigValueGraphMode.Area : BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value);
}

/** How one of several numbers is shown. */
export interface Figure {
  unit: string;
  decimals?: number;
  base?: string;
  steps?: Step[];
}

/** Numbers of one row, each with its column's name: one question for all of them. */
export function figures(panel: Omit<Common, "unit" | "overrides"> & { figures: Record<string, Figure> }): Builder<Panel> {
  const overrides: Record<string, DynamicConfigValue[]> = {};
  for (const [name, figure] of Object.entries(panel.figures)) {
    overrides[name] = [property("unit", figure.unit), property("thresholds", absolute(figure.base, figure.steps))];
    if (figure.decimals !== undefined) overrides[name].push(property("decimals", figure.decimals));
  }
  return stat({ ...panel, unit: "short", overrides }, BigValueTextMode.ValueAndName);
}

/** Lines over time; `softMax` keeps a chart of zeros from looking like one of hundreds. Those of names are of rows, which say what holds until the next one; scrapes that are missing stay gaps. */
export function lines(panel: Common & { min?: number; max?: number; softMax?: number; height?: number; interval?: string }): Builder<Panel> {
  const chart = common(new TimeSeries(), panel, panel.height ?? 8)
    .drawStyle(GraphDrawStyle.Line)
    .lineWidth(2)
    .lineInterpolation(panel.name ? LineInterpolation.StepAfter : LineInterpolation.Linear)
    .fillOpacity(panel.queries.length === 1 && !panel.name ? 12 : 0)
    .gradientMode(GraphGradientMode.Opacity)
    .spanNulls(panel.name !== undefined);
  if (panel.max !== undefined) chart.max(panel.max);
  if (panel.softMax !== undefined) chart.axisSoftMax(panel.softMax);
  return axes(chart, panel.min ?? 0, ["mean", "max", "lastNotNull"], panel.interval);
}

/** Bars over time, on top of each other: of things that add up. */
export function stacked(panel: Common & { height?: number; interval?: string; total?: string }): Builder<Panel> {
  const chart = common(new TimeSeries(), panel, panel.height ?? 8)
    .maxDataPoints(BARS)
    .drawStyle(GraphDrawStyle.Bars)
    .lineWidth(0)
    .fillOpacity(85)
    .barWidthFactor(0.85)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group("A"));
  return axes(chart, 0, [panel.total ?? "sum"], panel.interval);
}

function axes(chart: TimeSeries, min: number, calcs: string[], interval?: string): TimeSeries {
  if (interval) chart.interval(interval);
  return chart
    .min(min)
    .axisPlacement(AxisPlacement.Auto)
    .showPoints(VisibilityMode.Auto)
    .pointSize(4)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassic))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .calcs(calcs),
    );
}

/** A bar for each value, or for each row of a table when `values`. */
export function ranking(panel: Common & { height?: number; values?: boolean }): Builder<Panel> {
  return common(new BarGauge(), panel, panel.height ?? 8)
    .min(0)
    .orientation(VizOrientation.Horizontal)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(panel.values ?? false).fields(""));
}

/** Rows. Text is shown as it is, numbers too where their column has no unit: any other unit would make numbers of texts like hashes. */
export function table(panel: Omit<Common, "unit"> & { height?: number }): Builder<Panel> {
  const rows = new Table().showHeader(true).cellHeight(TableCellHeight.Sm);
  return common(rows, { ...panel, unit: "string" }, panel.height ?? 9);
}

function common<P extends Any>(builder: P, panel: Common, height: number): P {
  const { mode, steps } = absolute(panel.base, panel.steps);
  builder
    .title(panel.title)
    .description(panel.description)
    .unit(panel.unit)
    .span(panel.width)
    .height(height)
    .thresholds(new ThresholdsConfigBuilder().mode(mode).steps(steps));
  const [first] = panel.queries;
  if (!first) throw new Error(`${panel.title} asks nothing`);
  builder.datasource(first.source);
  panel.queries.forEach((query, index) => builder.withTarget(query.target(String.fromCharCode(65 + index))));
  if (panel.decimals !== undefined) builder.decimals(panel.decimals);
  if (panel.name) builder.displayName(panel.name);
  for (const [name, properties] of Object.entries(panel.overrides ?? {})) builder.overrideByName(name, properties);
  return builder;
}

/** Colours by value. Grafana's own, left to itself, has anything above 80 in red. */
export function absolute(base = "blue", steps: Step[] = []) {
  const above: Threshold[] = steps.map(([value, color]) => ({ value, color }));
  return { mode: ThresholdsMode.Absolute, steps: [{ value: null, color: base }, ...above] };
}

/** A property that a column or series has instead of the panel's. */
export function property(id: string, value: unknown): DynamicConfigValue {
  return { id, value };
}
