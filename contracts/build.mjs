// Compiles src/*.sol into artifacts/*.json; with --check, compares instead of writing and fails on any difference.
// The output depends on the sources and on the pinned compiler only: no time, no path, no metadata hash.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import solc from "solc";

const CONTRACTS = ["MneeToken", "Proxy"];
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  metadata: { bytecodeHash: "none" },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};

const inThisFolder = (path) => new URL(path, import.meta.url);

function compile() {
  const sources = Object.fromEntries(
    CONTRACTS.map((name) => [`${name}.sol`, { content: readFileSync(inThisFolder(`src/${name}.sol`), "utf8") }]),
  );
  const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings })));
  // A warning stops the build too: two small contracts have no excuse for one.
  for (const problem of output.errors ?? []) console.error(problem.formattedMessage);
  if (output.errors?.length) process.exit(1);
  return output.contracts;
}

function artifact(name, compiled) {
  const content = {
    contractName: name,
    compiler: `solc ${solc.version()}`,
    abi: compiled.abi,
    bytecode: `0x${compiled.evm.bytecode.object}`,
    deployedBytecode: `0x${compiled.evm.deployedBytecode.object}`,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function committed(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

const checking = process.argv.includes("--check");
const contracts = compile();
mkdirSync(inThisFolder("artifacts/"), { recursive: true });
let stale = 0;
for (const name of CONTRACTS) {
  const path = inThisFolder(`artifacts/${name}.json`);
  const fresh = artifact(name, contracts[`${name}.sol`][name]);
  if (!checking) {
    writeFileSync(path, fresh);
    console.log(`wrote artifacts/${name}.json`);
  } else if (committed(path) !== fresh) {
    stale += 1;
    console.error(`artifacts/${name}.json does not match src/${name}.sol: run \`npm run build\` in contracts/`);
  }
}
process.exit(stale === 0 ? 0 : 1);
