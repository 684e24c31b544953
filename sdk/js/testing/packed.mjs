// Packs both packages as npm would publish them, installs them in an empty folder, and uses them there as ESM, CJS and
// types: node testing/packed.mjs FOLDER

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

/** The most that a package may weigh, compressed. */
const MAX_BYTES = 15_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = process.argv[2];
const clean = join(folder, "clean");
mkdirSync(clean, { recursive: true });

const run = (cwd, program, ...rest) => execFileSync(program, rest, { cwd, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });

const packed = JSON.parse(run(root, "npm", "pack", "--json", "--pack-destination", folder, "--workspace", "agent", "--workspace", "server"));
const archives = (Array.isArray(packed) ? packed : Object.values(packed)).map(({ filename }) => join(folder, filename));
if (archives.length !== 2) throw new Error(`npm packed ${archives.length} packages`);

writeFileSync(join(clean, "package.json"), JSON.stringify({ name: "clean", private: true, type: "module" }));
run(clean, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", ...archives);

for (const name of ["agent", "server"]) {
  for (const kind of ["esm", "cjs"]) {
    const code = readFileSync(join(clean, `node_modules/@x402/${name}/dist/${kind}/index.js`), "utf8");
    const ofNode = /\bnode:|\bBuffer\b|\bprocess\.|\brequire\(/.exec(code);
    if (ofNode !== null) throw new Error(`@x402/${name} (${kind}) uses ${ofNode[0]}, which Deno, Bun and workers may not have`);
    const bytes = gzipSync(code, { level: 9 }).length;
    if (bytes >= MAX_BYTES) throw new Error(`@x402/${name} (${kind}) has ${bytes} bytes compressed; the bound is ${MAX_BYTES}`);
    console.log(`@x402/${name} ${kind}: ${bytes} bytes compressed`);
  }
}

const checks = `
const agent = createAgentClient({ gatewayUrl: "https://gateway.example.com", apiKey: "x402_agent_a", maxAmount: "0.10" });
const options = { verifierUrl: "https://verifier.example.com", apiKey: "x402_provider_0a_a", network: "mainnet", publicUrl: "https://api.example.com" };
const x402 = createX402({ ...options, payTo: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8" });
const handler = x402.handler({ price: "0.05", description: "a report" }, () => new Response("ok"));
handler(new Request("https://api.example.com/report")).then((response) => {
  const invoice = agent.extractInvoice(response, { url: "https://api.example.com/report" });
  if (invoice.amount !== parseAmount("0.05")) throw new Error("another amount");
});
`;
const names = ["{ createAgentClient, parseAmount }", "{ createX402 }"];
writeFileSync(join(clean, "esm.mjs"), `import ${names[0]} from "@x402/agent";\nimport ${names[1]} from "@x402/server";\n${checks}`);
writeFileSync(join(clean, "cjs.cjs"), `const ${names[0]} = require("@x402/agent");\nconst ${names[1]} = require("@x402/server");\n${checks}`);
run(clean, "node", "esm.mjs");
run(clean, "node", "cjs.cjs");

const typed = `
import { createAgentClient, parseAmount, PaymentDeniedError, type Paid, paymentOf } from "@x402/agent";
import { createX402, type VerifiedPayment } from "@x402/server";
${checks}
export const paid = async (url: string): Promise<Paid | undefined> => paymentOf(await agent.fetchWithX402(url));
export const amountOf = (payment: VerifiedPayment): bigint => payment.amount;
export const reasonOf = (error: PaymentDeniedError): string => error.reason;
// @ts-expect-error: a number has been a float.
createAgentClient({ gatewayUrl: "https://gateway.example.com", apiKey: "a", maxAmount: 0.1 });
`;
const compiler = { strict: true, noEmit: true, module: "nodenext", moduleResolution: "nodenext", target: "es2022", lib: ["es2022", "dom"], types: [], skipLibCheck: false, exactOptionalPropertyTypes: true };
writeFileSync(join(clean, "esm.mts"), typed);
writeFileSync(join(clean, "cjs.cts"), typed);
writeFileSync(join(clean, "tsconfig.json"), JSON.stringify({ compilerOptions: compiler, files: ["esm.mts", "cjs.cts"] }));
try {
  run(clean, "node", join(root, "node_modules/typescript/bin/tsc"), "--project", clean);
} catch (error) {
  throw new Error(`the types do not hold: ${error.stdout}`);
}
console.log("ESM, CJS and types");
