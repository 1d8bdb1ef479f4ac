# What we tell an agent of the Agent Client Protocol, version 1, as lines of
# JSON-RPC; forge-provider(5).  .state is described in out.jq.

def call($id; $method; $params):
	{send: {jsonrpc: "2.0", id: $id, method: $method, params: $params}};

def prompt($s; $text): call("prompt-\($s.n)"; "session/prompt";
	{sessionId: $s.sid, prompt: [{type: "text", text: $text}]});

# Of its own options the one of that kind, else of the other lasting.
def choice($always; $kind):
	[.suggestions // [] | .[] | select(.kind == $kind + "_once")][0] as $once
	| [.suggestions // [] | .[] | select(.kind == $kind + "_always")][0] as $all
	| if $always then $all // $once else $once // $all end;

def outcome: choice(.always == true; if .allow then "allow" else "reject" end)
	| if . then {outcome: "selected", optionId}
		else {outcome: "cancelled"} end;

def reply($request; $outcome): {send: {jsonrpc: "2.0",
	id: ($request | fromjson), result: {$outcome}}};

(.state // {}) as $s
| if .kind == "start" then
	{state: {dir: .data.dir, resume: .data.session, model: .data.model,
		cost: (.data.cost_usd // 0), all: (.data.cost_usd // 0),
		n: 0, queue: [], text: "", tools: {}, open: []}},
	call("initialize"; "initialize"; {protocolVersion: 1,
		clientCapabilities: {fs: {readTextFile: false,
			writeTextFile: false}, terminal: false},
		clientInfo: {name: "forge", version: "1"}})
elif .kind == "message" and $s.ready != true then
	{state: ($s + {queue: ($s.queue + [.data.text])})}
elif .kind == "message" then
	($s + {n: ($s.n + 1)}) as $s | {state: $s}, prompt($s; .data.text)
elif .kind == "answer" then
	{state: ($s + {open: ($s.open - [.data.request])})},
	reply(.data.request; .data | outcome)
elif .kind == "interrupt" and $s.sid then
	{state: ($s + {open: []})},
	{send: {jsonrpc: "2.0", method: "session/cancel",
		params: {sessionId: $s.sid}}},
	($s.open[] | reply(.; {outcome: "cancelled"}))
else empty end
