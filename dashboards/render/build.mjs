// Bundles the page into dist.

import { build } from "esbuild";
import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));

// Grafana's packages reach for parts of Node.js in code that no browser runs.
const withoutNode = {
  name: "without-node",
  setup(plugins) {
    const filter = /^(node:)?(assert|buffer|events|fs|http|https|path|stream|tty|url|util|zlib)$/;
    plugins.onResolve({ filter }, ({ path }) => ({ path, namespace: "without-node" }));
    plugins.onLoad({ filter: /.*/, namespace: "without-node" }, () => ({ contents: "module.exports = {};" }));
  },
};

await build({
  entryPoints: ["src/main.tsx"],
  bundle: true,
  outfile: "dist/main.js",
  jsx: "automatic",
  minify: true,
  define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
  loader: { ".svg": "dataurl", ".woff2": "dataurl", ".ttf": "dataurl", ".png": "dataurl" },
  mainFields: ["browser", "module", "main"],
  plugins: [withoutNode],
  logLevel: "warning",
});
cpSync("index.html", "dist/index.html");
// The components fetch icons and fonts from where a Grafana server has them.
cpSync("node_modules/@grafana/ui/dist/public/img/icons", "dist/public/build/img/icons", { recursive: true });
for (const [name, weight] of [["Regular", 400], ["Medium", 500]]) {
  cpSync(`node_modules/@fontsource/inter/files/inter-latin-${weight}-normal.woff2`, `dist/public/fonts/inter/Inter-${name}.woff2`);
}
