# Claude Code's stream-json, whatever the agent is; forge-format(5).

. as $in | $in.event as $e | ($e.data // {}) as $d | $in.session as $s
| $in.state as $state | ($s.agent_session // $s.id) as $id
| def frame: {line: (. + {session_id: $id,
	uuid: ("\($s.id)-\($e.seq)" + if .subtype == "init" then "-init"
		else "" end)})};
def assistant($block): {type: "assistant", message: {
	id: "msg_\($e.seq)", type: "message", role: "assistant",
	model: ($state.model // $s.model // ""), content: [$block],
	stop_reason: null, stop_sequence: null,
	usage: {input_tokens: 0, output_tokens: 0}},
	parent_tool_use_id: null} | frame;
def init: {type: "system", subtype: "init", cwd: ($s.dir // ""),
	tools: ($state.tools // []), mcp_servers: [],
	model: ($state.model // $s.model // ""), permissionMode: "default",
	slash_commands: [], apiKeySource: "none", output_style: "default"}
	| frame;
def duration: if $state.began then $e.at - $state.began else 0 end;
def result: {type: "result",
	subtype: (if $d.ok then "success"
		elif $d.limit then "error_max_turns"
		else "error_during_execution" end),
	is_error: ($d.ok | not), duration_ms: duration, duration_api_ms: 0,
	num_turns: 1, total_cost_usd: ($state.cost // 0),
	usage: {input_tokens: ($state.input // 0),
		output_tokens: ($state.output // 0)},
	modelUsage: {}, permission_denials: ($state.denied // []),
	terminal_reason: (if $d.ok then "completed"
		elif $d.interrupted then "aborted_streaming"
		elif $d.limit then "max_turns" else "api_error" end)}
	+ if $d.ok then {result: ($d.text // "")}
	else {errors: [$d.reason // "failed"]} end | frame;
def usage: if $d.total then {cost: ($d.cost_usd // $state.cost),
		input: ($d.input_tokens // $state.input),
		output: ($d.output_tokens // $state.output)}
	else {cost: (($state.cost // 0) + ($d.cost_usd // 0)),
		input: (($state.input // 0) + ($d.input_tokens // 0)),
		output: (($state.output // 0) + ($d.output_tokens // 0))} end;

if $e == null then empty
elif $e.kind == "message" then init,
	({type: "user", message: {role: "user", content: ($d.text // "")},
		parent_tool_use_id: null, isReplay: true} | frame),
	{state: ($state + {began: $e.at, denied: []})}
elif $e.kind == "output" or $e.kind == "thinking" then
	if $d.partial then {type: "stream_event", parent_tool_use_id: null,
		event: {type: "content_block_delta", index: 0,
			delta: (if $e.kind == "output" then
				{type: "text_delta", text: ($d.text // "")}
				else {type: "thinking_delta",
				thinking: ($d.text // "")} end)}} | frame
	elif $e.kind == "output" then
		assistant({type: "text", text: ($d.text // "")})
	else assistant({type: "thinking", thinking: ($d.text // ""),
		signature: ""}) end
elif $e.kind == "tool.use" then assistant({type: "tool_use",
	id: ($d.id // "toolu_\($e.seq)"), name: ($d.name // ""),
	input: ($d.input // {})})
elif $e.kind == "tool.result" then {type: "user", message: {role: "user",
	content: [{type: "tool_result", tool_use_id: ($d.id // ""),
		content: ($d.output // ""), is_error: ($d.error == true)}]},
	parent_tool_use_id: null} | frame
elif $e.kind == "ask" then
	{line: {type: "control_request",
		request_id: ($d.ask // $d.request | tostring),
		request: {subtype: "can_use_tool",
			tool_name: ($d.tool // "AskUserQuestion"),
			input: ($d.input // {}),
			description: ($d.text // ""),
			permission_suggestions: ($d.suggestions // []),
			tool_use_id: ($d.tool_use // "")}}},
	{state: ($state + {asked: (($state.asked // {})
		+ {($d.request // "" | tostring): {tool_name: ($d.tool // ""),
			tool_use_id: ($d.tool_use // ""),
			tool_input: ($d.input // {})}})})}
elif $e.kind == "answer" then
	if $d.by == "withdrawn" then {line: {type: "control_cancel_request",
		request_id: ($d.ask // $d.request | tostring)}}
	else empty end,
	($d.request // "" | tostring) as $request
	| {state: ($state | if $d.allow != true and .asked[$request] then
		.denied = ((.denied // []) + [.asked[$request]]) else . end
		| del(.asked[$request]))}
elif $e.kind == "usage" then {state: ($state + usage)}
elif $e.kind == "status" then {state: ($state
	+ if $d.model then {model: $d.model} else {} end
	+ if ($d.tools | type) == "array" then {tools: $d.tools}
	else {} end)}
elif $e.kind == "result" then result
elif $e.kind == "error" then {type: "system", subtype: "notification",
	text: ($d.text // "")} | frame
else empty end
