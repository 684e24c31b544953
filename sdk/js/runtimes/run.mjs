// Runs the API in Deno, Bun and workerd, and buys from each with agents in Deno and Bun. Prints a JSON line for each
// purchase; fails at the first that is none. Settings as the examples have them, of both sides.

import { build } from "esbuild";
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));

const deno = "node_modules/@deno/linux-x64-glibc/deno";
const bun = "node_modules/@oven/bun-linux-x64/bin/bun";
const workerd = "node_modules/@cloudflare/workerd-linux-64/bin/workerd";

/** How long a runtime may take to start, ms. */
const READY_WITHIN = 60_000;

const apis = {
  Deno: (port) => [deno, ["serve", "--allow-net", "--allow-env", `--host=127.0.0.1`, `--port=${port}`, ".build/api.mjs"]],
  Bun: () => [bun, ["run", ".build/api.mjs"]],
  workerd: (port) => [workerd, ["serve", `--socket-addr=http=127.0.0.1:${port}`, "worker.capnp"]],
};
const agents = {
  Deno: [deno, ["run", "--allow-net", "--allow-env", ".build/agent.mjs"]],
  Bun: [bun, ["run", ".build/agent.mjs"]],
};

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(url) {
  for (const began = Date.now(); Date.now() - began < READY_WITHIN; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const status = await fetch(url).then((response) => response.status, () => undefined);
    if (status !== undefined) return status;
  }
  throw new Error(`${url} does not answer`);
}

async function buy(agent, url) {
  const [program, args] = agents[agent];
  const X402_OPERATION = JSON.stringify({ operation: "fetch", url });
  const { stdout } = await promisify(execFile)(program, args, { env: { ...process.env, X402_OPERATION } });
  return JSON.parse(stdout);
}

if (!existsSync("node_modules/.package-lock.json")) {
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { stdio: "inherit" });
}
// What a bundler makes of the packages, as a deployment has it: no runtime finds modules in its own way.
const bundled = { absWorkingDir: process.cwd(), bundle: true, format: "esm", platform: "neutral", mainFields: ["module"], logLevel: "warning" };
await build({ ...bundled, entryPoints: { api: "./api.mjs", agent: "../conformance/agent.mjs" }, outdir: ".build", outExtension: { ".js": ".mjs" } });

for (const [runtime, command] of Object.entries(apis)) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/report`;
  const env = { ...process.env, PORT: String(port), PUBLIC_URL: new URL("/", url).origin };
  const server = spawn(...command(port), { env, stdio: ["ignore", "inherit", "inherit"] });
  try {
    const status = await answers(url);
    if (status !== 402) throw new Error(`${runtime} asks for no payment but answers ${status}`);
    for (const agent of Object.keys(agents)) {
      const { status, body, error } = await buy(agent, url);
      if (status !== 200) throw new Error(`${agent} at ${runtime}: ${JSON.stringify(error ?? body)}`);
      console.log(JSON.stringify({ api: runtime, agent, paid: body.paid }));
    }
  } finally {
    server.kill("SIGKILL");
  }
}
