// One dashboard on one page, with a report for whoever opened it: `window.outcome`, once all is drawn.

import { type DataFrameDTO, ThemeContext, createTheme, dateTime, rangeUtil } from "@grafana/data";
import { GlobalStyles, PanelChrome } from "@grafana/ui";
import "@grafana/react-data-grid/lib/styles.css";
import { Component, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import "uplot/dist/uPlot.min.css";
import "./page.css";

import { configured, isEmpty } from "./fields.ts";
import { type Panel, ask, open } from "./server.ts";
import { Visualization } from "./visualizations.tsx";

declare global {
  interface Window {
    outcome?: { panels: number; errors: string[]; empty: string[] };
  }
}

/** Grafana's grid: 24 columns, and rows of 38 pixels, the gap included. */
const COLUMNS = 24;
const ROW = 38;
const GAP = 8;
/** For charts and tables to measure themselves and draw. */
const SETTLE_MS = 700;

const theme = createTheme({ colors: { mode: "dark" } });
const errors: string[] = [];
const empty: string[] = [];

/** What a panel could not be drawn for. */
class Boundary extends Component<{ title: string; children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  override componentDidCatch(error: Error) {
    errors.push(`${this.props.title}: ${error.message}`);
  }
  override render() {
    return this.state.error ? <p className="error">{this.state.error.message}</p> : this.props.children;
  }
}

/** Before anything is drawn: charts measure their labels once. */
async function loadFonts() {
  const font = (name: string, weight: string) => new FontFace("Inter", `url(/public/fonts/inter/Inter-${name}.woff2)`, { weight });
  const fonts = await Promise.all([font("Regular", "400").load(), font("Medium", "500").load()]);
  for (const one of fonts) document.fonts.add(one);
}

async function main() {
  await loadFonts();
  const uid = location.hash.slice(1);
  const { dashboard, from, to, scrapeSeconds } = await open(uid);
  document.title = dashboard.title;
  const page = document.body.clientWidth - 2 * GAP;
  const timeRange = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };

  const answer = async (panel: Panel): Promise<DataFrameDTO[]> => {
    const points = panel.maxDataPoints ?? Math.floor((page * panel.gridPos.w) / COLUMNS);
    const scrape = panel.datasource?.type === "prometheus" ? `${scrapeSeconds}s` : "1s";
    const { intervalMs } = rangeUtil.calculateInterval(timeRange, points, panel.interval ?? scrape);
    try {
      const frames = await ask(uid, panel.id, intervalMs);
      if (isEmpty(frames)) empty.push(panel.title);
      return frames;
    } catch (error) {
      errors.push(`${panel.title}: ${String(error)}`);
      return [];
    }
  };
  const panels = await Promise.all(
    dashboard.panels.map(async (panel) => ({ panel, frames: panel.type === "row" ? [] : await answer(panel) })),
  );

  const draw = ({ panel, frames }: (typeof panels)[number]) => {
    const { x, y, w, h } = panel.gridPos;
    const width = (page * w) / COLUMNS - GAP;
    const height = h * ROW - GAP;
    const style = { left: (page * x) / COLUMNS, top: y * ROW, width, height };
    if (panel.type === "row") {
      return (
        <h2 key={panel.id} className="place" style={style}>
          {panel.title}
        </h2>
      );
    }
    const padding = panel.type === "table" ? "none" : "md";
    return (
      <div key={panel.id} className="place" style={style}>
        <PanelChrome title={panel.title} description={panel.description ?? ""} width={width} height={height} padding={padding}>
          {(innerWidth, innerHeight) => (
            <Boundary title={panel.title}>
              {isEmpty(frames) ? (
                <p>No data</p>
              ) : (
                <Visualization
                  {...{ panel, theme, timeRange, width: innerWidth, height: innerHeight, frames: configured(frames, panel, theme) }}
                />
              )}
            </Boundary>
          )}
        </PanelChrome>
      </div>
    );
  };
  const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * ROW;
  const root = document.getElementById("dashboard");
  if (!root) throw new Error("the page has no place for the dashboard");
  createRoot(root).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <h1>{dashboard.title}</h1>
      <div className="grid" style={{ height: bottom, width: page }}>
        {panels.map(draw)}
      </div>
    </ThemeContext.Provider>,
  );
  setTimeout(() => report(dashboard.panels), SETTLE_MS);
}

function report(panels: Panel[]) {
  window.outcome = { panels: panels.filter(({ type }) => type !== "row").length, errors, empty };
}

window.addEventListener("error", (event) => errors.push(event.message));
main().catch((error: Error) => {
  errors.push(String(error.stack ?? error));
  report([]);
});
