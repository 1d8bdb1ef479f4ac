// Lets a client that asks for GitHub's own media type through a validating
// proxy that only knows application/json; the private /_fake/ calls go
// straight to the fake.
//
// usage: node accept-shim.mjs PORT-FILE PRISM-PORT FAKE-PORT

import http from "node:http";
import fs from "node:fs";

const [portFile, prism, fake] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });

function forward(req, res) {
	const own = req.url.startsWith("/_fake/");
	const headers = { ...req.headers };
	if (/vnd\.github/.test(headers.accept ?? ""))
		headers.accept = "application/json";
	const up = http.request({
		host: "127.0.0.1", port: own ? fake : prism, agent, headers,
		method: req.method, path: req.url,
	}, (answer) => {
		res.writeHead(answer.statusCode, answer.rawHeaders);
		answer.pipe(res);
	});
	up.on("error", () => res.destroy());
	res.on("close", () => up.destroy());
	req.pipe(up);
}

const server = http.createServer(forward);
server.listen(0, "127.0.0.1", () => {
	const temp = `${portFile}.tmp`;
	fs.writeFileSync(temp, `${server.address().port}\n`);
	fs.renameSync(temp, portFile);
});
