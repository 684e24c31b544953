// Opens dashboards in a headless browser, one after another, and prints what each page reports, a JSON line each.
//
//     node draw.mjs http://127.0.0.1:PORT [--pictures FOLDER] UID…

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { pictures: { type: "string" } } });
const [base, ...uids] = positionals;
const WIDTH = 1600;
const PATIENCE_MS = 60_000;

// Nothing here needs the network, and Chromium's own services only wait for it.
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];
const profile = mkdtempSync(join(tmpdir(), "x402-browser-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args,
  viewport: { width: WIDTH, height: 1000 },
});
try {
  for (const uid of uids) {
    const page = await browser.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => message.type() === "error" && complaints.push(`${message.text()} ${message.location().url}`));
    await page.goto(`${base}/#${uid}`);
    await page.waitForFunction("window.outcome", undefined, { timeout: PATIENCE_MS });
    const outcome = await page.evaluate("window.outcome");
    if (values.pictures) {
      mkdirSync(values.pictures, { recursive: true });
      const height = await page.evaluate("Math.ceil(document.documentElement.scrollHeight)");
      await page.setViewportSize({ width: WIDTH, height });
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(values.pictures, `${uid}.png`), fullPage: true });
    }
    console.log(JSON.stringify({ uid, ...outcome, errors: [...outcome.errors, ...complaints] }));
    await page.close();
  }
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
