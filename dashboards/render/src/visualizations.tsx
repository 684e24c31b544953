// Panels with the components that Grafana itself draws them with, or that its own are made of.

import {
  type DataFrame,
  type GrafanaTheme2,
  type TimeRange,
  VizOrientation,
  getDisplayProcessor,
  getDisplayValueAlignmentFactors,
  getFieldDisplayName,
  getFieldDisplayValues,
} from "@grafana/data";
import { BarGauge, BigValue, type BigValueColorMode, BigValueGraphMode, BigValueTextMode, TimeSeries } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import type { ReactElement } from "react";

import type { Panel } from "./server.ts";

export interface Drawing {
  panel: Panel;
  frames: DataFrame[];
  width: number;
  height: number;
  theme: GrafanaTheme2;
  timeRange: TimeRange;
}

/** What Grafana's time series panel has where a dashboard says nothing. */
const LINES = {
  drawStyle: "line",
  lineInterpolation: "linear",
  lineWidth: 1,
  fillOpacity: 0,
  pointSize: 5,
  showPoints: "auto",
  spanNulls: false,
  axisPlacement: "auto",
  scaleDistribution: { type: "linear" },
  hideFrom: {},
};

/** A panel's inside. */
export function Visualization(drawing: Drawing): ReactElement {
  switch (drawing.panel.type) {
    case "timeseries":
      return <Lines {...drawing} />;
    case "stat":
      return <Figures {...drawing} />;
    case "bargauge":
      return <Bars {...drawing} />;
    case "table":
      return <Rows {...drawing} />;
    default:
      throw new Error(`${drawing.panel.type} is not drawn`);
  }
}

function Lines({ panel, frames, width, height, theme, timeRange }: Drawing) {
  let index = 0;
  const drawn = frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) => {
      if (field.type !== "number") return field;
      const config = { ...field.config, custom: { ...LINES, ...panel.fieldConfig.defaults.custom } };
      const series = { ...field, config, state: { ...field.state, seriesIndex: index++ } };
      return { ...series, display: getDisplayProcessor({ field: series, theme, timeZone: "utc" }) };
    }),
  }));
  for (const frame of drawn) {
    for (const field of frame.fields) field.state = { ...field.state, displayName: getFieldDisplayName(field, frame, drawn) };
  }
  return (
    <TimeSeries
      frames={drawn}
      timeRange={timeRange}
      timeZone="utc"
      width={width}
      height={height}
      structureRev={1}
      legend={panel.options.legend}
      options={{}}
    >
      {() => null}
    </TimeSeries>
  );
}

function values({ panel, frames, theme }: Drawing) {
  const { fieldConfig, options } = panel;
  const { reduceOptions } = options;
  return getFieldDisplayValues({ fieldConfig, reduceOptions, replaceVariables: (text) => text, theme, data: frames, timeZone: "utc", sparkline: true });
}

function Figures(drawing: Drawing) {
  const { panel, theme, width, height } = drawing;
  const all = values(drawing);
  const each = Math.floor(width / all.length);
  const text = { auto: BigValueTextMode.Auto, value: BigValueTextMode.Value, value_and_name: BigValueTextMode.ValueAndName };
  const { colorMode, graphMode, textMode, wideLayout } = panel.options as {
    colorMode: BigValueColorMode;
    graphMode: string;
    textMode: keyof typeof text;
    wideLayout: boolean;
  };
  return (
    <div style={{ display: "flex" }}>
      {all.map((one, place) => (
        <BigValue
          key={place}
          value={one.display}
          {...(graphMode === "area" && one.sparkline ? { sparkline: one.sparkline } : {})}
          count={all.length}
          width={each}
          height={height}
          theme={theme}
          colorMode={colorMode}
          graphMode={graphMode === "area" ? BigValueGraphMode.Area : BigValueGraphMode.None}
          textMode={text[textMode]}
          disableWideLayout={!wideLayout}
          alignmentFactors={getDisplayValueAlignmentFactors(all)}
        />
      ))}
    </div>
  );
}

function Bars(drawing: Drawing) {
  const { panel, theme, width, height } = drawing;
  const all = values(drawing);
  const most = Math.max(...all.map((one) => one.display.numeric));
  const each = Math.min(Math.floor(height / all.length), 44);
  return (
    <div>
      {all.map((one, place) => (
        <div key={place} style={{ height: each, paddingBottom: 6 }}>
          <BarGauge
            value={one.display}
            width={width}
            height={each - 6}
            itemSpacing={6}
            orientation={VizOrientation.Horizontal}
            displayMode={panel.options.displayMode}
            theme={theme}
            field={{ ...one.field, max: one.field.max ?? most }}
            showUnfilled
            alignmentFactors={getDisplayValueAlignmentFactors(all)}
            text={{ titleSize: 13, valueSize: 13 }}
          />
        </div>
      ))}
    </div>
  );
}

function Rows({ panel, frames, width, height, timeRange }: Drawing) {
  const [first] = frames;
  if (!first) throw new Error("a table without columns");
  return (
    <TableNG
      data={first}
      width={width}
      height={height}
      structureRev={1}
      timeRange={timeRange}
      getActions={() => []}
      enableVirtualization={false}
      fieldConfig={panel.fieldConfig}
      cellHeight={panel.options.cellHeight}
    />
  );
}
