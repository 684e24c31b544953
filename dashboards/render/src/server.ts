// What the page gets from whoever serves it.

import type { DataFrameDTO, FieldConfigSource } from "@grafana/data";

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  interval?: string;
  maxDataPoints?: number;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: FieldConfigSource;
  datasource?: { type?: string };
  // Every kind of panel has its own.
  options: any;
}

export interface Opened {
  dashboard: { uid: string; title: string; panels: Panel[] };
  /** Milliseconds since 1970. */
  from: number;
  to: number;
  /** As the Prometheus data source is told. */
  scrapeSeconds: number;
}

/** The dashboard, and the time that it shows. */
export async function open(uid: string): Promise<Opened> {
  return json(await fetch(`/dashboards/${uid}`));
}

/** The answers to a panel's questions, in buckets of this width. */
export async function ask(uid: string, panel: number, intervalMs: number): Promise<DataFrameDTO[]> {
  return json(await fetch(`/answers/${uid}/${panel}?intervalMs=${intervalMs}`));
}

async function json<T>(response: Response): Promise<T> {
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}
