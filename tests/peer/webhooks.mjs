// Real workflow_job payloads and their signatures, both by other hands:
// @octokit/webhooks-examples and @octokit/webhooks-methods.
//
// usage: node webhooks.mjs examples DIR SECRET    writes NAME.json, NAME.sig
//        node webhooks.mjs verify FILE SIGNATURE SECRET    exit 0 or 1

import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const peer = path.resolve(process.env.BUILD ??
	path.join(import.meta.dirname ??
		path.dirname(new URL(import.meta.url).pathname), "../../build"),
"peer");
const require = createRequire(path.join(peer, "package.json"));
const methods = path.join(peer,
	"node_modules/@octokit/webhooks-methods/dist-node/index.js");
const { sign, verify } = await import(pathToFileURL(methods));

async function examples(dir, secret) {
	const kinds = require("@octokit/webhooks-examples");
	const { examples } = kinds.find((kind) => kind.name === "workflow_job");
	const seen = {};
	fs.mkdirSync(dir, { recursive: true });
	for (const example of examples) {
		const { action } = example;
		seen[action] = (seen[action] ?? 0) + 1;
		const name = path.join(dir, `${action}.${seen[action]}`);
		const body = JSON.stringify(example);
		fs.writeFileSync(`${name}.json`, body);
		fs.writeFileSync(`${name}.sig`, `${await sign(secret, body)}\n`);
	}
}

const [verb, ...args] = process.argv.slice(2);
if (verb === "examples" && args.length === 2) {
	await examples(...args);
} else if (verb === "verify" && args.length === 3) {
	const body = fs.readFileSync(args[0], "utf8");
	const good = await verify(args[2], body, args[1]);
	process.exitCode = good ? 0 : 1;
} else {
	console.error("usage: webhooks.mjs examples DIR SECRET");
	console.error("       webhooks.mjs verify FILE SIGNATURE SECRET");
	process.exitCode = 2;
}
