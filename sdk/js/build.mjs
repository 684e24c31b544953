// Builds both packages into their dist folders (ESM and CJS, one file each, and types), or the tests.

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));

// Whoever uses a package gets one file with all that it needs but `jose`, which is only loaded on demand.
const common = { bundle: true, charset: "utf8", platform: "neutral", target: "es2022", external: ["jose"], logLevel: "warning" };

// The licence of what is bundled asks for its notice.
const banner = { js: "/*! @noble/hashes: MIT License (c) 2022 Paul Miller */" };

async function packages() {
  for (const name of ["agent", "server"]) {
    rmSync(`${name}/dist`, { recursive: true, force: true });
    const entry = { ...common, entryPoints: [`${name}/src/index.ts`], minify: true, sourcemap: "linked", banner };
    await build({ ...entry, format: "esm", outfile: `${name}/dist/esm/index.js` });
    commonJs(`${name}/dist`);
    execFileSync("node_modules/.bin/tsc", ["--project", name], { stdio: "inherit" });
    cpSync(`${name}/dist/esm/types`, `${name}/dist/cjs/types`, { recursive: true });
    writeFileSync(`${name}/dist/cjs/package.json`, '{ "type": "commonjs" }\n');
  }
}

/** The same code with its exports said the other way: a bundler's own CommonJS carries helpers that nothing here needs. */
function commonJs(dist) {
  const [code, ...rest] = readFileSync(`${dist}/esm/index.js`, "utf8").split(/(?=export\{[^}]*\};\n)/);
  const [, names, after] = /^export\{([^}]*)\};(.*)$/s.exec(rest.join(""));
  const exported = names.split(",").map((name) => name.split(" as ").reverse().join(":"));
  mkdirSync(`${dist}/cjs`, { recursive: true });
  writeFileSync(`${dist}/cjs/index.js`, `"use strict";${code}module.exports={${exported}};${after}`);
  cpSync(`${dist}/esm/index.js.map`, `${dist}/cjs/index.js.map`);
}

async function tests() {
  rmSync(".build", { recursive: true, force: true });
  mkdirSync(".build");
  const entryPoints = ["protocol", "agent", "server"].flatMap((name) =>
    readdirSync(`${name}/test`).filter((file) => file.endsWith(".test.ts")).map((file) => `${name}/test/${file}`),
  );
  await build({ ...common, platform: "node", packages: "external", entryPoints, format: "esm", outbase: ".", outdir: ".build", outExtension: { ".js": ".mjs" } });
}

await (process.argv.includes("--tests") ? tests() : packages());
