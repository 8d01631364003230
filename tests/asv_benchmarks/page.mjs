// Go from the grid of a published page to one of its benchmarks, and print what is seen there, as JSON.
// Usage: node page.mjs SETTINGS, a JSON file with: packages, chromium, url, libraries, benchmark, screenshot.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { chromium } = createRequire(`${settings.packages}/`)("playwright-core");

const FLAGS = [
  "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", // what is not answered here goes nowhere
];
const seen = { answered: [], refused: [], failed: [], errors: [] };

async function answer(route) {
  const url = new URL(route.request().url());
  if (url.origin === new URL(settings.url).origin) return route.continue();
  const name = basename(url.pathname);
  const library = settings.libraries[name];
  if (!library) {
    seen.refused.push(url.href);
    return route.abort();
  }
  seen.answered.push(name);
  return route.fulfill({ path: library, headers: { "access-control-allow-origin": "*" } });
}

// Runs in the page. Lines are antialiased: their edges have their colour, and less of it.
function readSeries() {
  const canvas = document.querySelector("#main-graph canvas.flot-base");
  const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const columns = (colour) => {
    const found = [];
    for (let i = 0; i < data.length; i += 4) {
      const near = colour.every((channel, c) => Math.abs(data[i + c] - channel) <= 8);
      if (near && data[i + 3] >= 64) found.push((i / 4) % width);
    }
    return found;
  };
  const plotted = $("#main-graph").data("plot").getData();
  return [...document.querySelectorAll("#main-graph .legend tr")].map((row, index) => {
    const points = plotted[index].data.filter((point) => point[1] !== null).length;
    const box = row.querySelector(".legendColorBox div div");
    const found = columns(getComputedStyle(box).borderTopColor.match(/\d+/g).slice(0, 3).map(Number));
    const span = found.length ? Math.max(...found) - Math.min(...found) + 1 : 0;
    return { label: row.querySelector(".legendLabel").innerText.trim(), points, pixels: found.length, span };
  });
}

const browser = await chromium.launch({ executablePath: settings.chromium, args: FLAGS });
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(20000);
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("requestfailed", (request) => seen.failed.push(request.url()));
  page.on("response", (response) => response.status() >= 400 && seen.failed.push(response.url()));
  await page.route("**/*", answer);
  await page.goto(settings.url, { waitUntil: "networkidle" });
  seen.address = page.url();
  await page.locator(`#summarygrid-display a[href="#${settings.benchmark}"]`).click();
  await page.locator("#main-graph .legend tr").first().waitFor();
  await page.waitForLoadState("networkidle");
  seen.title = await page.locator("#title").innerText();
  seen.series = await page.evaluate(readSeries);
  await page.mouse.move(0, 0); // away from what has a tooltip
  await page.screenshot({ path: settings.screenshot });
} catch (error) {
  seen.errors.push(error.message);
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
