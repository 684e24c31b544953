// Writes every dashboard's JSON into the folder that is named.

import { build } from "esbuild";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [target] = process.argv.slice(2);
if (!target) throw new Error("usage: node build.mjs FOLDER");
const folder = resolve(target);
process.chdir(dirname(fileURLToPath(import.meta.url)));

const bundled = await build({
  entryPoints: ["src/index.ts"],
  bundle: true,
  platform: "node",
  format: "esm",
  write: false,
  logLevel: "warning",
});
const [{ text }] = bundled.outputFiles;
const { dashboards } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);

mkdirSync(folder, { recursive: true });
for (const dashboard of dashboards) {
  writeFileSync(join(folder, `${dashboard.uid}.json`), `${JSON.stringify(dashboard, null, 2)}\n`);
}
