# Lines of Codex's app server (protocol v2) as our events; forge-provider(5).
# .state has
#	dir, resume, model	what it was started with
#	thread, turn	its own ids of the session and of what it works at
#	n, queue	prompts so far; texts for when it has a thread
#	text		what it said last
#	told, items	tools that were told of; what those not over work with
#	open		what it asks, not answered: true, or ids of questions
#	usage, limits	tokens of the thread; when its API's windows begin again

def call($id; $method; $params): {send: {$id, $method, $params}};

def prompt($s; $text): call("prompt-\($s.n)"; "turn/start";
	{threadId: $s.thread, input: [{type: "text", text: $text}]});

# ---- tools ----

# One word for a shell as what it says, or null.
def unquoted: reduce (explode[] | [.] | implode) as $c
	({out: "", in: "", bad: false};
	if .in == "'" then if $c == "'" then .in = "" else .out += $c end
	elif .in == "\"\\" then .in = "\"" | .out +=
		if $c | IN("$", "`", "\"", "\\") then $c else "\\" + $c end
	elif .in == "\"" then if $c == "\"" then .in = ""
		elif $c == "\\" then .in = "\"\\" else .out += $c end
	elif .in == "\\" then .in = "" | .out += $c
	elif $c | IN("'", "\"", "\\") then .in = $c
	elif $c | IN(" ", "\n", "\t") then .bad = true
	else .out += $c end)
	| if .bad or .in != "" then null else .out end;

# `/bin/bash -lc WORD` is what the word says.
def command: . as $all
	| (capture("^(/[a-z/]*/)?(ba|z)?sh -l?c (?<word>.*)$"; "p").word
		| unquoted) // $all;

def tool: .type | IN("commandExecution", "fileChange", "mcpToolCall",
	"dynamicToolCall", "webSearch", "imageView");

def name: {commandExecution: "command_execution", fileChange: "file_change",
	webSearch: "web_search", imageView: "view_image"}[.type]
	// (if .server then "mcp__\(.server)__\(.tool)" else .tool end)
	// .type;

# Both names of a file that moves are touched.
def input: if .type == "commandExecution" then
		{command: (.command | command), cwd}
	elif .type == "fileChange" then {locations: [.changes // [] | .[]
		| {path, kind: .kind.type, diff},
		(.kind.move_path? // empty | {path: .})]}
	elif .type == "webSearch" then {query}
	elif .type == "imageView" then {path}
	else .arguments // {} end;

def output: if .type == "commandExecution" then .aggregatedOutput
		// if .status == "completed" then "" else .status end
	elif .type == "mcpToolCall" then (.result // .error) | tojson
	elif .type == "webSearch" or .type == "imageView" then ""
	else .status // "" end;

def wrong: .status == "failed" or .status == "declined"
	or (.exitCode // 0) != 0;

def used($s): .id as $id | if $s.told | index($id) then empty else
	{kind: "tool.use", data: {$id, name: name, input: input}} end;

# Its arguments may be known only when it is over.
def item($s; $over):
	if .type == "agentMessage" then if $over then
		{kind: "output", data: {text}}, {state: ($s + {text})}
		else empty end
	elif .type == "reasoning" then if $over then
		((.summary + .content) | join("\n") | select(. != "")
		| {kind: "thinking", data: {text: .}}) else empty end
	elif tool then used($s),
		if $over then {kind: "tool.result", data: {id, error: wrong,
			output: output}} else empty end,
		. as $item | {state: ($s
			| .told = ((.told - [$item.id] + [$item.id])[-100:])
			| if $over then .items |= del(.[$item.id])
			else .items[$item.id] = ($item | input) end)}
	else empty end;

# ---- what it asks ----

def ask($s; $data; $open): (.id | tojson) as $request
	| {kind: "ask", data: ({$request} + $data)},
	{state: ($s | .open[$request] = $open)};

def question: .question + ([.options // [] | .[].label]
	| if . == [] then "" else " (" + join(", ") + ")" end);

def asked($s): .params as $p | $s.items[$p.itemId // ""] as $input
	| if .method == "item/commandExecution/requestApproval" then
		ask($s; {tool: "command_execution", text: $p.reason,
			tool_use: $p.itemId, input: ($input // {command:
				($p.command // "" | command), cwd: $p.cwd})};
			true)
	elif .method == "item/fileChange/requestApproval" then
		ask($s; {tool: "file_change", text: $p.reason,
			tool_use: $p.itemId, input: ($input // {})}; true)
	elif .method == "item/tool/requestUserInput" then
		ask($s; {text: ([$p.questions[] | question] | join("\n")),
			tool_use: $p.itemId}; [$p.questions[].id])
	else {send: {id, error: {code: -32601,
		message: ("not supported: " + .method)}}} end;

# ---- turns ----

def usage: {kind: "usage", data: {session: true, cost_usd: 0,
	input_tokens: (.inputTokens // 0),
	output_tokens: (.outputTokens // 0)}};

def resets: [.primary, .secondary | select(. != null and .usedPercent >= 100)
	| .resetsAt // empty] | max;

# A limit without a time: a minute is what such limits count by.
def limited($s): if .codexErrorInfo == "usageLimitExceeded"
		or .codexErrorInfo == "rateLimitExceeded" then
		{kind: "status", data: {text: ("rate limit: " + .message),
			limited_until: (($s.limits // (now + 60)) * 1000
				| floor)}}
	else empty end;

def why: .message // "an error without a text"
	| sub("^unexpected status "; "");

def over($s): ($s.usage // {} | usage),
	(.error // {} | limited($s)),
	{kind: "result", data: (.status as $status
		| {ok: ($status == "completed"), text: $s.text}
		+ if $status == "completed" then {}
		elif $status == "interrupted" then
			{reason: "interrupted", interrupted: true}
		else {reason: (.error // {} | why)} end)},
	{state: ($s + {turn: null, text: "", items: {}, open: {}})};

# ---- replies to us ----

def failed: {kind: "result", data: {ok: false, text: "",
	reason: (.error | why)}};

def begin($s): {cwd: $s.dir, approvalPolicy: "untrusted"} + (if $s.model then {model: $s.model}
		else {} end)
	| {send: {method: "initialized"}},
	if $s.resume == null then call("new"; "thread/start"; .)
	else call("resume"; "thread/resume";
		. + {threadId: $s.resume, excludeTurns: true}) end;

def begun($s): .result.thread.id as $thread
	| ($s + {$thread, queue: [], n: ($s.n + ($s.queue | length))}) as $new
	| {state: $new},
	{kind: "status", data: {agent_session: $thread,
		model: .result.model}},
	($s.queue | to_entries[]
		| prompt($new + {n: ($s.n + .key + 1)}; .value));

def reply($s):
	if .error and (.id | IN("steer", "interrupt")) then
		{kind: "status", data: {text: (.error | why)}}
	elif .error then failed
	elif .id == "initialize" then begin($s)
	elif .id == "new" or .id == "resume" then begun($s)
	elif .id | tostring | startswith("prompt-") then
		{state: ($s + {turn: .result.turn.id})}
	else empty end;

# ---- what it tells ----

def told($s): .params as $p | .method as $m
	# An agent of its own has turns too.
	| if ($m | IN("turn/started", "turn/completed", "turn/plan/updated",
		"thread/tokenUsage/updated")) and $p.threadId != $s.thread
		then empty
	elif $m == "item/started" then $p.item | item($s; false)
	elif $m == "item/completed" then $p.item | item($s; true)
	elif $m == "item/agentMessage/delta" then
		{kind: "output", data: {text: $p.delta, partial: true}}
	elif $m | IN("item/reasoning/summaryTextDelta",
		"item/reasoning/textDelta") then
		{kind: "thinking", data: {text: $p.delta, partial: true}}
	elif $m == "turn/plan/updated" then
		{kind: "status", data: {text: "plan", plan: $p.plan}}
	elif $m == "thread/tokenUsage/updated" then
		{state: ($s + {usage: $p.tokenUsage.total})}
	elif $m == "account/rateLimits/updated" then
		{state: ($s + {limits: ($p.rateLimits | resets)})}
	elif $m == "turn/started" then {state: ($s + {turn: $p.turn.id})}
	elif $m == "turn/completed" then $p.turn | over($s)
	elif $m == "error" then {kind: "status", data: {
		text: ($p.error | why), retries: $p.willRetry}}
	elif $m | IN("warning", "configWarning", "guardianWarning",
		"deprecationNotice") then
		{kind: "status", data: {text: ($p.message // $p.summary)}}
	elif $m == "serverRequest/resolved" then
		($p.requestId | tojson) as $request
		| if $s.open | has($request) then
			{kind: "status", data: {withdrawn: $request}},
			{state: ($s | .open |= del(.[$request]))}
		else empty end
	elif $m | test("^(thread|turn|item|hook|mcpServer|account|app|skills|remoteControl)/")
		then empty
	else {kind: "raw", data: {line: .}} end;

(.state // {}) as $s | .line
| if type != "object" then {kind: "raw", data: {line: .}}
elif .method and has("id") then asked($s)
elif .method then told($s)
elif has("id") then reply($s)
else {kind: "raw", data: {line: .}} end
