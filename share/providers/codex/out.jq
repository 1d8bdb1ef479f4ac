# Lines of `codex exec --json` as our events; forge-provider(5).  .state has
# told, the tools that were told of, and text, what it said last.

def name: {command_execution: "command_execution", file_change: "file_change",
	mcp_tool_call: (.tool // "mcp"), web_search: "web_search"}[.type]
	// .type;

def input: if .type == "command_execution" then {command}
	elif .type == "file_change" then {changes}
	elif .type == "mcp_tool_call" then {server, tool, arguments}
	elif .type == "web_search" then {query}
	else del(.id, .type, .status) end;

def output: if .type == "command_execution" then .aggregated_output // ""
	elif .type == "mcp_tool_call" then (.result // .error) | tojson
	else .status // "" end;

def wrong: .status == "failed" or .status == "declined"
	or (.exit_code // 0) != 0;

def used($s): .id as $id
	| if $s.told | index($id) then empty else
		{kind: "tool.use", data: {$id, name: name, input: input}} end;

def item($s; $over):
	if .type == "agent_message" then
		if $over then {kind: "output", data: {text}},
			{state: ($s + {text})} else empty end
	elif .type == "reasoning" then
		if $over then {kind: "thinking", data: {text}} else empty end
	elif .type == "error" then
		{kind: "status", data: {text: (.message // "error")}}
	elif .type == "todo_list" then
		{kind: "status", data: {text: "plan", plan: .items}}
	else used($s),
		if $over then {kind: "tool.result", data: {id, error: wrong,
			output: output}} else empty end,
		{state: ($s + {told: ($s.told + [.id] | unique)})} end;

def usage: {kind: "usage", data: {session: true,
	input_tokens: (.input_tokens // 0),
	output_tokens: (.output_tokens // 0), cost_usd: 0}};

({told: [], text: ""} + (.state // {})) as $s | .line
| if type != "object" then {kind: "raw", data: {line: .}}
elif .type == "thread.started" then
	{kind: "status", data: {agent_session: .thread_id}}
elif .type == "turn.started" then empty
elif .type == "item.started" or .type == "item.updated" then
	.item | item($s; false)
elif .type == "item.completed" then .item | item($s; true)
elif .type == "turn.completed" then (.usage // {} | usage),
	{kind: "result", data: {ok: true, text: $s.text}}
elif .type == "turn.failed" then {kind: "result", data: {ok: false,
	text: $s.text, reason: (.error.message // "the turn failed")}}
elif .type == "error" then
	{kind: "status", data: {text: (.message // "error")}}
else {kind: "raw", data: {line: .}} end
