# Lines of an agent of the Agent Client Protocol as our events;
# forge-provider(5).  .state has
#	dir, resume, model	what it was started with
#	sid, ready	the agent's own session; it can be told things
#	n, queue	prompts so far; texts for when it is ready
#	text, thought	what was said in pieces and not yet as a whole
#	tools		by id, those that were not told or are not over
#	open		what it asks, not answered
#	cost, all	of the session before this process; that of the turn

def call($id; $method; $params):
	{send: {jsonrpc: "2.0", id: $id, method: $method, params: $params}};

def prompt($s; $text): call("prompt-\($s.n)"; "session/prompt";
	{sessionId: $s.sid, prompt: [{type: "text", text: $text}]});

def text_of: if type == "string" then . elif type != "object" then ""
	elif .type == "text" then .text // ""
	elif .type == "resource" then .resource.text // ""
	else "[\(.type // "content")]" end;

# ---- pieces become a whole before anything else ----

def whole($s):
	if ($s.thought // "") != "" then
		{kind: "thinking", data: {text: $s.thought}} else empty end,
	if ($s.text // "") != "" then
		{kind: "output", data: {text: $s.text}} else empty end;
def blank: . + {text: "", thought: ""};

# ---- tools ----

def name: if .kind != null and .kind != "other" then .kind
	else .title // "tool" end;

def filled: (.rawInput // {}) | type == "object"
	and (del(.cwd) | length > 0);

def output: if (.content // []) != [] then
		[.content[] | if .type == "content" then .content | text_of
			elif .type == "diff" then "diff of \(.path)"
			else "[\(.type)]" end] | join("\n")
	elif .rawOutput == null then ""
	elif .rawOutput | type == "string" then .rawOutput
	else .rawOutput | tojson end;

def over: .status == "completed" or .status == "failed";

# A tool is told of once its input is known.
def tool($s):
	. as $u | .toolCallId as $id
	| (($s.tools[$id] // {}) + ($u | with_entries(select(.value != null))))
		as $t
	| (($t.told | not) and (($t | filled) or ($u | over))) as $tell
	| whole($s),
	if $tell then {kind: "tool.use", data: {id: $id, name: ($t | name),
		input: ($t.rawInput // {})}} else empty end,
	if $u | over then {kind: "tool.result", data: {id: $id,
		error: ($u.status == "failed"), output: ($u | output)}}
		else empty end,
	{state: ($s | blank | if $u | over then .tools |= del(.[$id])
		else .tools[$id] = ($t | del(.content)
			+ {told: (.told or $tell)}) end)};

def update($s):
	if .sessionUpdate == "agent_message_chunk" then
		(.content | text_of) as $text
		| {kind: "output", data: {$text, partial: true}},
		{state: ($s + {text: (($s.text // "") + $text)})}
	elif .sessionUpdate == "agent_thought_chunk" then
		(.content | text_of) as $text
		| {kind: "thinking", data: {$text, partial: true}},
		{state: ($s + {thought: (($s.thought // "") + $text)})}
	elif .sessionUpdate == "tool_call"
		or .sessionUpdate == "tool_call_update" then tool($s)
	elif .sessionUpdate == "usage_update" then
		{state: ($s + {all: (.cost.amount // $s.all // 0)})}
	elif .sessionUpdate == "plan" then
		{kind: "status", data: {text: "plan", plan: .entries}}
	elif .sessionUpdate == "available_commands_update"
		or .sessionUpdate == "current_mode_update"
		or .sessionUpdate == "config_option_update"
		or .sessionUpdate == "session_info_update"
		or .sessionUpdate == "user_message_chunk" then empty
	else {kind: "raw", data: {line: .}} end;

# ---- what it asks ----

def asked($s):
	(.id | tojson) as $request | .params as $p
	| (($s.tools[$p.toolCall.toolCallId] // {}) + ($p.toolCall // {})) as $t
	| if .method == "session/request_permission" then
		whole($s),
		{kind: "ask", data: {$request, tool: ($t | name),
			input: ($t.rawInput // {}), text: $t.title,
			suggestions: $p.options, tool_use: $t.toolCallId}},
		{state: ($s | blank | .open += [$request])}
	else {send: {jsonrpc: "2.0", id, error: {code: -32601,
		message: ("not supported: " + .method)}}} end;

# ---- replies to us ----

def failed: {kind: "result", data: {ok: false, text: "",
	reason: (.error.data.message? // .error.data.details?
		// .error.message // "an error without a text" | tostring)}};

def begun($s; $sid):
	($s + {sid: $sid, ready: true, queue: [], loading: false,
		n: ($s.n + ($s.queue | length))}) as $new
	| {state: $new},
	{kind: "status", data: {agent_session: $sid, model: $s.model}},
	if $s.model and ([.result.configOptions // [] | .[].id] | index("model"))
		then call("model"; "session/set_config_option";
			{sessionId: $sid, configId: "model", value: $s.model})
	elif $s.model and .result.models then
		call("model"; "session/set_model";
			{sessionId: $sid, modelId: $s.model})
	else empty end,
	($s.queue | to_entries[]
		| prompt($new + {n: ($s.n + .key + 1)}; .value));

def open_session($s):
	{sessionId: $s.resume, cwd: $s.dir, mcpServers: []} as $old
	| .result.agentCapabilities as $can
	| if $s.resume == null then
		call("new"; "session/new"; $old | del(.sessionId))
	elif $can.sessionCapabilities.resume then
		call("resume"; "session/resume"; $old)
	elif $can.loadSession then
		{state: ($s + {loading: true})},
		call("resume"; "session/load"; $old)
	else {kind: "result", data: {ok: false, text: "",
		reason: "this agent cannot go on with a session"}} end;

# Gemini CLI tells it elsewhere.
def tokens: .usage // (._meta.quota.token_count? // {}
	| {inputTokens: .input_tokens, outputTokens: .output_tokens});

def usage($s): tokens as $u
	| ($s.all // 0) as $all
	| {kind: "usage", data: {cost_usd: ([$all - ($s.cost // 0), 0] | max),
		input_tokens: (($u.inputTokens // 0) + ($u.cachedReadTokens // 0)
			+ ($u.cachedWriteTokens // 0)),
		output_tokens: (($u.outputTokens // 0)
			+ ($u.thoughtTokens // 0))}};

def done($s):
	whole($s), (.result | usage($s)),
	{kind: "result", data: (.result.stopReason as $why
		| {ok: ($why == "end_turn"), text: ($s.text // "")}
		+ if $why == "end_turn" then {} else {reason: $why} end
		+ if $why == "cancelled" then {interrupted: true} else {} end
		+ if $why == "max_turn_requests" or $why == "max_tokens"
			then {limit: true} else {} end)},
	{state: ($s | blank + {cost: ($s.all // 0), tools: {}, open: []})};

def reply($s):
	if .error and .id == "model" then {kind: "status", data: {
		text: "the model was not taken: \(.error.message)"}}
	elif .error then whole($s), failed, {state: ($s | blank)}
	elif .id == "initialize" then open_session($s)
	elif .id == "new" then begun($s; .result.sessionId)
	elif .id == "resume" then begun($s; $s.resume)
	elif .id | tostring | startswith("prompt-") then done($s)
	else empty end;

(.state // {}) as $s | .line
| if type != "object" then {kind: "raw", data: {line: .}}
elif .method == "session/update" then
	if $s.loading then empty else .params.update | update($s) end
elif .method and has("id") then asked($s)
elif .method then {kind: "raw", data: {line: .}}
elif has("id") then reply($s)
else {kind: "raw", data: {line: .}} end
