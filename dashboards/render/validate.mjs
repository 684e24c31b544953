// Checks dashboards against the schema that Grafana's own types make.
//
//     node validate.mjs FILE…

import Ajv from "ajv";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createGenerator } from "ts-json-schema-generator";

const here = dirname(fileURLToPath(import.meta.url));
const path = join(here, "node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen.d.ts");
const schema = createGenerator({ path, type: "Dashboard", skipTypeCheck: true, additionalProperties: false }).createSchema("Dashboard");

// Grafana fills in what is missing, and knows more of these than its types say.
const LENIENT = ["VariableModel", "AnnotationContainer", "AnnotationQuery", "DashboardLink"];
for (const [name, definition] of Object.entries(schema.definitions)) {
  if (name !== "GridPos") delete definition.required;
  if (LENIENT.includes(name)) definition.additionalProperties = true;
}

const check = new Ajv({ allErrors: true, strict: false }).compile(schema);
for (const file of process.argv.slice(2)) {
  if (check(JSON.parse(readFileSync(file, "utf8")))) continue;
  process.exitCode = 1;
  for (const { instancePath, message, params } of check.errors) console.error(`${file} ${instancePath} ${message} ${JSON.stringify(params)}`);
}
