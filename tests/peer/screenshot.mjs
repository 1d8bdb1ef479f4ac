/*
 * screenshot.mjs puppeteer-core|playwright-core WS-URL FILE: by an unmodified
 * client, open a page, read its title, click, and take a screenshot.
 * Modules come from the directory above node_modules: run it there.
 */
import { createRequire } from "node:module";

const [name, url, file] = process.argv.slice(2);
const require = createRequire(process.cwd() + "/x.mjs");
const client = require(name);
const page_url = "data:text/html,<title>forge</title><body " +
	"style='background:rgb(10,200,30);margin:0'>" +
	"<button style='margin:50px' onclick='document.title=\"clicked\"'>b</button>";
let browser, page;

if (name === "puppeteer-core") {
	browser = await client.connect({ browserWSEndpoint: url });
	page = await browser.newPage();
} else {
	browser = await client.chromium.connectOverCDP(url);
	page = await (await browser.newContext()).newPage();
}
page.setDefaultTimeout(90000);
await page.goto(page_url, { timeout: 90000 });
console.log(await page.title());
await page.click("button");
console.log(await page.title());
await page.screenshot({ path: file });
await page.close();
await (name === "puppeteer-core" ? browser.disconnect() : browser.close());
