#!/usr/bin/env node
// agent.mjs URL DIR register TOKEN KIND | stream MODE | health SERVICE
//
// What agent.py is, on grpc-js or, with LIB=connect, on connect-node. The
// messages are those that protoc described in $GEN.
import { createRequire } from "node:module";
import fs from "node:fs";

const [url, dir, verb, ...args] = process.argv.slice(2);
const need = createRequire(`${process.env.PEER_MODULES}/x.js`);
const read = (name) => fs.existsSync(`${dir}/${name}`) ? fs.readFileSync(`${dir}/${name}`) : undefined;
const say = (...words) => console.log(words.join(" "));

function grpcJs() {
	const grpc = need("@grpc/grpc-js");
	const loader = need("@grpc/proto-loader");
	const credentials = grpc.credentials.createSsl(read("ca.crt"), read("client.key"), read("client.crt"));
	const clients = {};
	const client = (service) => {
		const file = service.startsWith("grpc.") ? "health" : "cirunner";
		const all = grpc.loadPackageDefinition(loader.loadFileDescriptorSetFromBuffer(
			fs.readFileSync(`${process.env.GEN}/${file}.pb`),
			{ enums: String, defaults: true, oneofs: true }));
		const Service = service.split(".").reduce((o, name) => o[name], all);
		return clients[service] ??= new Service(url, credentials);
	};
	const fail = (e) => ({ code: Object.keys(grpc.status).find((k) => grpc.status[k] === e.code), text: e.details });
	return {
		unary: (service, method, request) => new Promise((ok, no) =>
			client(service)[method](request, { deadline: Date.now() + 20000 },
				(e, r) => e ? no(fail(e)) : ok(r))),
		async stream(service, method, source, take) {
			const call = client(service)[method]();
			const over = new Promise((ok, no) => {
				call.on("data", (m) => take({ case: m.payload, value: m[m.payload] }));
				call.on("error", (e) => no(fail(e)));
				call.on("end", ok);
			});
			(async () => {
				for await (const m of source) call.write(m);
				call.end();
			})();
			await over;
		},
		close: () => Object.values(clients).forEach((c) => c.close()),
	};
}

function connect() {
	const { createGrpcTransport } = need("@connectrpc/connect-node");
	const { createClient, Code } = need("@connectrpc/connect");
	const { createFileRegistry, fromBinary } = need("@bufbuild/protobuf");
	const { FileDescriptorSetSchema } = need("@bufbuild/protobuf/wkt");
	const transport = createGrpcTransport({
		baseUrl: `https://${url}`,
		nodeOptions: { ca: read("ca.crt"), key: read("client.key"), cert: read("client.crt") },
	});
	const client = (service) => {
		const file = service.startsWith("grpc.") ? "health" : "cirunner";
		const set = fromBinary(FileDescriptorSetSchema, fs.readFileSync(`${process.env.GEN}/${file}.pb`));
		return createClient(createFileRegistry(set).getService(service), transport);
	};
	const lower = (s) => s[0].toLowerCase() + s.slice(1);
	const camel = (s) => s.replace(/_(.)/g, (_, c) => c.toUpperCase());
	// grpc-js names the members of a oneof as fields of the message.
	const keys = (m) => Array.isArray(m) ? m.map(keys) :
		m && typeof m === "object" ?
			Object.fromEntries(Object.entries(m).map(([k, v]) => [camel(k), keys(v)])) : m;
	const oneof = (m) => {
		const [[name, value]] = Object.entries(keys(m));
		return { payload: { case: name, value } };
	};
	const snake = (s) => s.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
	const fail = (e) => ({
		code: Code[e.code]?.replace(/[a-z](?=[A-Z])/g, "$&_").toUpperCase(),
		text: e.rawMessage,
	});
	return {
		async unary(service, method, request) {
			try {
				const r = await client(service)[lower(method)](keys(request), { timeoutMs: 20000 });
				return Object.fromEntries(Object.entries(r).map(([k, v]) => [snake(k), v]));
			} catch (e) {
				throw fail(e);
			}
		},
		async stream(service, method, source, take) {
			async function* messages() {
				for await (const m of source) yield oneof(m);
			}
			try {
				for await (const m of client(service)[lower(method)](messages())) {
					const value = Object.fromEntries(
						Object.entries(m.payload.value).map(([k, v]) => [snake(k), v]));
					take({ case: snake(m.payload.case), value });
				}
			} catch (e) {
				throw fail(e);
			}
		},
		close() {},
	};
}

const lib = process.env.LIB === "connect" ? connect() : grpcJs();

async function register(token, kind) {
	const r = await lib.unary("cirunner.agent.RegistrationService", "Register", {
		registration_token: token, hostname: "Peer.Example", agent_type: kind,
		labels: ["linux"], max_vms: 2,
	});
	fs.writeFileSync(`${dir}/ca.crt`, r.server_ca_pem);
	fs.writeFileSync(`${dir}/client.crt`, r.client_cert_pem);
	fs.writeFileSync(`${dir}/client.key`, r.client_key_pem);
	say("registered", r.agent_id, r.server_trust_mode, r.expires_at.slice(0, 2));
}

// What is put into it comes out of it, until null.
function queue() {
	const waiting = [];
	let wake = () => {};
	return {
		put(m) {
			waiting.push(m);
			wake();
		},
		async* [Symbol.asyncIterator]() {
			for (;;) {
				while (!waiting.length) await new Promise((ok) => wake = ok);
				const m = waiting.shift();
				if (m === null) return;
				yield m;
			}
		},
	};
}

async function agent(mode) {
	const out = queue();
	const vms = [];
	const status = () => ({ status: {
		agent_id: "not-me",
		hostname: mode === "big" ? "x".repeat(2 << 20) : "peer",
		agent_type: mode === "kind" ? "zzz" : "TART",
		max_vms: 2, available_slots: 2 - vms.length, active_vms: vms.length,
		label_sets: [{ labels: ["Linux", "x64"] }, { labels: ["macos"] }],
		vms: vms.map((name) => ({ vm_id: `id-${name}`, name, state: "running" })),
	} });
	const event = (name, type) => ({ runner_event: { runner_name: name, vm_id: `id-${name}`, event_type: type } });
	if (mode === "pong") out.put({ pong: {} });
	else if (mode === "none") out.put(null);
	else out.put(status());
	if (mode === "normal") {
		process.stdin.on("end", () => out.put(null));
		process.stdin.resume();
	}
	await lib.stream("cirunner.agent.AgentService", "AgentStream", out, (m) => {
		if (m.case === "ping") {
			say("ping");
			out.put({ pong: {} });
			out.put(status());
		} else if (m.case === "create_runner") {
			const c = m.value;
			say("create", c.vm_name, c.jit_config, c.runner_scope_url, c.labels.join(","));
			out.put({ ack: { command_id: c.command_id, accepted: true } });
			vms.push(c.vm_name);
			out.put(status());
			out.put(event(c.vm_name, 1));
			vms.pop();
			out.put(status());
			out.put(event(c.vm_name, 2));
		}
	});
}

async function health(service) {
	const r = await lib.unary("grpc.health.v1.Health", "Check", { service });
	say(r.status === "SERVING" || r.status === 1 ? "SERVING" : r.status);
}

try {
	await { register, stream: agent, health }[verb](...args);
	say("end OK:");
} catch (e) {
	if (!e.code) throw e;
	say(`end ${e.code}: ${e.text}`);
}
lib.close();
process.stdin.destroy();
process.exit(0);
