# Server-sent events as builder's clients know them; forge-format(5).

. as $in | $in.event as $e | ($e.data // {}) as $d | $in.state as $state
| def sse($event; $data): {sse: {id: $e.seq, event: $event, data: $data}};
def status: if . == "waiting" then "waiting_for_input"
	elif . == "limited" then "running"
	elif . == "interrupted" then "failed"
	elif . == "stopped" then "completed" else . end;

if $e == null then
	{sse: {event: "sync", data: {lastSequence: ($state.seq // 0)}}}
elif $e.kind == "output" and ($d.partial or ($d.text // "") == "" | not) then
	sse("agent:output"; {text: ($d.text // ""), messageType: "text"})
elif $e.kind == "thinking" and ($d.partial or ($d.text // "") == "" | not) then
	sse("agent:output"; {text: ($d.text // ""), messageType: "thinking"})
elif $e.kind == "tool.use" then
	sse("agent:tool_use"; {tool: ($d.name // ""), input: $d.input}),
	{state: ($state + {tools: (($state.tools // {})
		+ {($d.id // "" | tostring): ($d.name // "")})})}
elif $e.kind == "tool.result" then
	sse("agent:tool_result";
		{tool: ($state.tools[$d.id // "" | tostring] // ""),
		output: $d.output}),
	{state: ($state | del(.tools[$d.id // "" | tostring]))}
elif $e.kind == "message" then
	sse("user:message"; {message: ($d.text // "")})
elif $e.kind == "ask" then sse("session:waiting_for_input";
	{prompt: ($d.text // (if $d.tool then "\($d.tool) \($d.input | tojson)"
		else "" end))})
elif $e.kind == "result" then
	if $d.ok then sse("session:completed"; {summary: ($d.text // "")})
	else sse("session:error"; {error: ($d.reason // "failed")}) end
elif $e.kind == "error" then sse("session:error"; {error: ($d.text // "")})
elif $e.kind == "snapshot" then sse("session:snapshot";
	{messageId: ($d.message // "" | tostring),
	commitSha: ($d.ref // $d.commit // "")})
elif $e.kind == "status" and ($d.state | type) == "string" then
	sse("session:status"; {status: ($d.state | status)})
else empty end,
if $e and $e.kind != "tool.use" and $e.kind != "tool.result" then
	{state: ($state + {seq: $e.seq})} else empty end
