# Claude Code's lines (.line) as our events; forge-provider(5).

def text: if type == "string" then .
	elif type == "array" then
		[.[] | if type == "object" then .text // empty else tostring end]
		| join("\n")
	elif . == null then ""
	else tojson end;

def block:
	if .type == "text" then {kind: "output", data: {text}}
	elif .type == "thinking" then
		{kind: "thinking", data: {text: (.thinking // "")}}
	elif .type == "tool_use" then
		{kind: "tool.use", data: {id, name, input}}
	elif .type == "tool_result" then
		{kind: "tool.result", data: {id: .tool_use_id,
			error: (.is_error == true), output: (.content | text)}}
	else {kind: "raw", data: {line: .}} end;

def content: if type == "array" then .[] else empty end;

# A reply of the user to the user is an echo, but for results of tools.
def results: select(type == "object" and .type == "tool_result");

def usage:
	[.modelUsage // {} | .[]] as $models
	| {kind: "usage", data: {total: true,
		cost_usd: (.total_cost_usd // 0),
		input_tokens: ([$models[] | (.inputTokens // 0)
			+ (.cacheReadInputTokens // 0)
			+ (.cacheCreationInputTokens // 0)] | add // 0),
		output_tokens: ([$models[] | .outputTokens // 0] | add // 0)}};

def aborted: (.terminal_reason // "") | startswith("aborted");

def why:
	if aborted then "interrupted"
	elif .subtype == "error_max_turns" then "limit of turns"
	elif .subtype == "error_max_budget_usd" then "limit of cost"
	elif (.errors // []) != [] then (.errors | map(text) | join("; "))
	elif .is_error then (.result // .terminal_reason // .subtype | text)
	else .subtype // "error" end;

def result:
	(.subtype == "success" and .is_error != true) as $ok
	| {kind: "result", data: ({ok: $ok, text: (.result // "" | text),
		denied: [.permission_denials // [] | .[] | .tool_name]}
		+ if $ok then {} else {reason: why, interrupted: aborted} end
		+ if (.subtype // "") | startswith("error_max")
			then {limit: true} else {} end)};

# An API key's limit tells no time: a minute is what such limits count by.
def busy: select(.api_error_status == 429) | {kind: "status", data: {
	limited_until: ((now + 60) * 1000 | floor),
	text: "rate limit: of the API key"}};

def limit: .rate_limit_info // {}
	| if .status == "rejected" then {kind: "status", data: {
		limited_until: ((.resetsAt // 0) * 1000),
		text: ("rate limit: " + (.rateLimitType // "of the API"))}}
	else {kind: "status", data: {rate_limit: .}} end;

def asked:
	.request_id as $id | .request
	| if .subtype == "can_use_tool" then {kind: "ask", data: {
		request: $id, tool: .tool_name, input: .input,
		text: (.description // .title // .decision_reason),
		suggestions: (.permission_suggestions // []),
		tool_use: .tool_use_id}}
	else {send: {type: "control_response", response: {subtype: "error",
		request_id: $id,
		error: ("not supported: " + (.subtype // ""))}}} end;

def system:
	if .subtype == "init" then {kind: "status", data: {
		agent_session: .session_id, model, cwd, tools,
		version: .claude_code_version, mcp_servers}}
	elif .subtype == "api_retry" then {kind: "status", data: {
		text: ("the API failed, attempt \(.attempt) of \(.max_retries)"),
		error: (.error // .error_status | tostring)}}
	elif .subtype == "permission_denied" or .subtype == "compact_boundary"
		or .subtype == "notification" then
		{kind: "status", data: (del(.type, .uuid, .session_id)
			| {text: .subtype, detail: del(.subtype)})}
	else empty end;

def line:
	if .type == "assistant" then .message.content | content | block
	elif .type == "user" then .message.content | content | results | block
	elif .type == "stream_event" then
		.event | select(.type == "content_block_delta") | .delta
		| if .type == "text_delta" then
			{kind: "output", data: {text, partial: true}}
		elif .type == "thinking_delta" then
			{kind: "thinking", data: {text: .thinking, partial: true}}
		else empty end
	elif .type == "result" then usage, busy, result
	elif .type == "system" then system
	elif .type == "rate_limit_event" then limit
	elif .type == "control_request" then asked
	elif .type == "control_cancel_request" then
		{kind: "status", data: {withdrawn: .request_id}}
	elif .type == "control_response" or .type == "keep_alive"
		or .type == "tool_progress" or .type == "auth_status"
		or .type == "conversation_reset" or .type == "command_lifecycle"
		then empty
	else {kind: "raw", data: {line: .}} end;

.line | if type == "object" then line else {kind: "raw", data: {line: .}} end
