// stream.mjs PORT GEN CA CERT KEY: grpc-js as the coordinator of `stream`: takes
// statuses, pings once, ends when its agent does.
import { createRequire } from "node:module";
import fs from "node:fs";

const [port, gen, ca, cert, key] = process.argv.slice(2);
const need = createRequire(`${process.env.PEER_MODULES}/x.js`);
const grpc = need("@grpc/grpc-js");
const loader = need("@grpc/proto-loader");
const all = grpc.loadPackageDefinition(
	loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(`${gen}/cirunner.pb`), { oneofs: true }));
const agents = new Map();
const server = new grpc.Server();
server.addService(all.cirunner.agent.AgentService.service, {
	AgentStream(call) {
		const id = call.getAuthContext().sslPeerCertificate?.subject?.CN;
		let first = true;
		call.on("data", (m) => {
			agents.set(id, m.status);
			if (first) call.write({ ping: {} });
			first = false;
		});
		call.on("end", () => call.end());
		call.on("error", () => {});
	},
});
server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createSsl(fs.readFileSync(ca),
	[{ cert_chain: fs.readFileSync(cert), private_key: fs.readFileSync(key) }], true), (e) => {
	if (e) throw e;
	console.log("ready");
});
