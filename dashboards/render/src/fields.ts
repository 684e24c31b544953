// Field configuration as Grafana applies it: defaults, overrides, names, units, thresholds.

import {
  type DataFrame,
  type DataFrameDTO,
  type Field,
  type FieldConfigPropertyItem,
  type GrafanaTheme2,
  Registry,
  type ScopedVars,
  applyFieldOverrides,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  toDataFrame,
} from "@grafana/data";

import type { Panel } from "./server.ts";

const NUMBERS = ["min", "max", "decimals"];
const OTHERS = ["unit", "color", "thresholds", "mappings", "noValue", "links", "filterable", "description"];
/** Of tables and charts; what is not listed here no override can set. */
const CUSTOM = ["width", "align", "cellOptions", "hidden"];

function property(path: string, process: unknown, isCustom = false): FieldConfigPropertyItem {
  const nothing = () => null;
  return {
    id: isCustom ? `custom.${path}` : path,
    path,
    name: path,
    isCustom,
    editor: nothing,
    override: nothing,
    process,
    shouldApply: () => true,
    settings: { expandTemplateVars: true },
  } as unknown as FieldConfigPropertyItem;
}

const properties = [
  property("displayName", displayNameOverrideProcessor),
  ...NUMBERS.map((path) => property(path, numberOverrideProcessor)),
  ...OTHERS.map((path) => property(path, identityOverrideProcessor)),
];
standardFieldConfigEditorRegistry.setInit(() => properties);
const registry = new Registry<FieldConfigPropertyItem>(() => [
  ...properties,
  ...CUSTOM.map((path) => property(path, identityOverrideProcessor, true)),
]);

/** `${__field.labels.x}` in the name of a series. */
function named(text: string, scope?: ScopedVars): string {
  const context = scope?.["__dataContext"]?.value as { field?: Field } | undefined;
  return text.replace(/\$\{__field\.labels\.(\w+)\}/g, (all, label) => context?.field?.labels?.[label] ?? all);
}

/** A panel's frames with its configuration applied. */
export function configured(frames: DataFrameDTO[], panel: Panel, theme: GrafanaTheme2): DataFrame[] {
  const { defaults, overrides } = panel.fieldConfig;
  const steps = defaults.thresholds?.steps.map((step, index) => (index === 0 ? { ...step, value: -Infinity } : step));
  if (!defaults.thresholds || !steps) throw new Error("a panel without thresholds turns red above 80");
  return applyFieldOverrides({
    data: frames.map((frame) => toDataFrame(frame)),
    fieldConfig: {
      defaults: { mappings: [], color: { mode: "thresholds" }, ...defaults, thresholds: { ...defaults.thresholds, steps } },
      overrides,
    },
    replaceVariables: named,
    theme,
    timeZone: "utc",
    fieldConfigRegistry: registry as never,
  });
}

/** Whether there is anything to see. */
export function isEmpty(frames: DataFrameDTO[]): boolean {
  return !frames.some((frame) =>
    frame.fields.some((field) => field.type !== "time" && (field.values as unknown[] | undefined)?.some((value) => value !== null)),
  );
}
