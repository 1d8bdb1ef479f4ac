// Reads a stream of forge-session's on stdin as its readers would:
//	node formats.mjs ag-ui | builder | claude
// Prints how many events there were, or says what is wrong and exits 1.
// The packages of formats.json are found through $PEER, a node_modules.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.PEER + "/");
const text = readFileSync(0, "utf8");

function fail(why, what)
{
	console.error(`${why}: ${JSON.stringify(what)}`);
	process.exit(1);
}

const lines = () => text.split("\n").filter(Boolean).map(l => JSON.parse(l));

// As WHATWG's HTML has it.
function frames()
{
	const found = [];
	let frame = {};
	for (const line of text.split(/\r\n|\r|\n/)) {
		if (line === "") {
			if (frame.data !== undefined)
				found.push({ ...frame,
					data: JSON.parse(frame.data) });
			frame = {};
			continue;
		}
		const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
		frame[name] = name === "data" && frame.data !== undefined ?
			frame.data + "\n" + value : value;
	}
	if (Object.keys(frame).length)
		fail("the last frame is cut off", frame);
	return found;
}

function validate(schema, list)
{
	const Ajv = require("ajv/dist/2020.js").default;
	const url = new URL(schema, import.meta.url);
	const check = new Ajv({ strict: false })
		.compile(JSON.parse(readFileSync(url, "utf8")));
	for (const event of list)
		if (!check(event))
			fail(JSON.stringify(check.errors), event);
	return list.length;
}

// Each event by its schema, and the order of each run by AG-UI's own client.
async function agUi()
{
	const { EventSchemas } = require("@ag-ui/core/schemas");
	const { verifyEvents } = require("@ag-ui/client");
	const { from, lastValueFrom } = require("rxjs");
	const runs = [];
	const list = lines();
	for (const event of list) {
		const checked = EventSchemas.safeParse(event);
		if (!checked.success)
			fail(checked.error.message, event);
		if (event.type === "RUN_STARTED")
			runs.push([]);
		if (!runs.length)
			fail("before the first run", event);
		runs.at(-1).push(checked.data);
	}
	for (const run of runs) {
		const last = run.at(-1).type;
		if (last !== "RUN_FINISHED" && last !== "RUN_ERROR")
			fail("a run without an end", run.at(-1));
		await lastValueFrom(verifyEvents(false)(from(run)))
			.catch(error => fail(error.message, run));
	}
	return list.length;
}

const count = await ({
	"ag-ui": agUi,
	builder: () => validate("builder.schema.json", frames()),
	claude: () => validate("claude.schema.json", lines()),
})[process.argv[2]]();
if (!count)
	fail("nothing came", text);
console.log(count);
