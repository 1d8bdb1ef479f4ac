# AG-UI, one event a line; forge-format(5).  Each turn is a run; an ask ends
# its run with an interrupt, and the answer begins the next one.

. as $in | $in.event as $e | ($e.data // {}) as $d | $in.session as $s
| (if $e then {timestamp: $e.at} else {} end) as $at
| def put($event): .out += [{line: ($event + $at)}];

def start($resume):
	if .s.run then . else
		.s.run = "\($s.id)-\($e.seq)" | .s.run as $run
		| put({type: "RUN_STARTED", threadId: $s.id, runId: $run}
			+ if $resume then {input: {threadId: $s.id,
				runId: $run, messages: [], tools: [],
				context: [], resume: [$resume]}} else {} end)
	end;
def start: start(null);

def close_text:
	if .s.text then put({type: "TEXT_MESSAGE_END", messageId: .s.text})
	else . end | .s.text = null;
def close_thought:
	if .s.thought then
		put({type: "REASONING_MESSAGE_END", messageId: .s.thought})
		| put({type: "REASONING_END", messageId: .s.thought})
	else . end | .s.thought = null;
def close: close_text | close_thought
	| .s.streamed = false | .s.mused = false;

def finish($outcome; $result):
	if .s.run then close | put({type: "RUN_FINISHED", threadId: $s.id,
		runId: .s.run, outcome: $outcome}
		+ if $result then {result: $result} else {} end)
	else . end | .s.run = null;
def fail($why; $code):
	start | close | put({type: "RUN_ERROR", message: $why, code: $code})
	| .s.run = null;

def say($text):
	start | close_thought
	| if .s.text then . else .s.text = "text-\($e.seq)"
		| put({type: "TEXT_MESSAGE_START", messageId: .s.text,
			role: "assistant"}) end
	| put({type: "TEXT_MESSAGE_CONTENT", messageId: .s.text,
		delta: $text});
def muse($text):
	start | close_text
	| if .s.thought then . else .s.thought = "thought-\($e.seq)"
		| put({type: "REASONING_START", messageId: .s.thought})
		| put({type: "REASONING_MESSAGE_START",
			messageId: .s.thought, role: "reasoning"}) end
	| put({type: "REASONING_MESSAGE_CONTENT", messageId: .s.thought,
		delta: $text});

def custom($name): if .s.run
	then put({type: "CUSTOM", name: $name, value: $d}) else . end;

def schema: if $d.tool then {type: "object", required: ["approved"],
		properties: {approved: {type: "boolean"},
			message: {type: "string"}}}
	else {type: "object", required: ["answer"],
		properties: {answer: {type: "string"}}} end;
def interrupt: {id: ($d.ask // $d.request | tostring),
	reason: (if $d.tool then "tool_approval" else "question" end),
	message: ($d.text // $d.tool // ""), responseSchema: schema,
	metadata: ($d | {tool, input, choices, questions, request}
		| with_entries(select(.value != null)))}
	+ if $d.tool_use then {toolCallId: $d.tool_use} else {} end;

def kinds:
	if $e.kind == "message" then start | close
		| if ($d.text // "") == "" then . else
			"message-\($e.seq)" as $id
			| put({type: "TEXT_MESSAGE_START", messageId: $id,
				role: "user"})
			| put({type: "TEXT_MESSAGE_CONTENT", messageId: $id,
				delta: $d.text})
			| put({type: "TEXT_MESSAGE_END", messageId: $id}) end
	elif $e.kind == "output" then
		if $d.partial then if ($d.text // "") == "" then .
			else say($d.text) | .s.streamed = true end
		elif .s.streamed then close_text | .s.streamed = false
		elif ($d.text // "") == "" then .
		else say($d.text) | close_text end
	elif $e.kind == "thinking" then
		if $d.partial then if ($d.text // "") == "" then .
			else muse($d.text) | .s.mused = true end
		elif .s.mused then close_thought | .s.mused = false
		elif ($d.text // "") == "" then .
		else muse($d.text) | close_thought end
	elif $e.kind == "tool.use" then start | close
		| ($d.id // "tool-\($e.seq)") as $id
		| put({type: "TOOL_CALL_START", toolCallId: $id,
			toolCallName: ($d.name // "tool")})
		| put({type: "TOOL_CALL_ARGS", toolCallId: $id,
			delta: ($d.input // {} | tojson)})
		| put({type: "TOOL_CALL_END", toolCallId: $id})
	elif $e.kind == "tool.result" then start | close
		| put({type: "TOOL_CALL_RESULT", role: "tool",
			messageId: "result-\($e.seq)",
			toolCallId: ($d.id // "tool-\($e.seq)"),
			content: ($d.output // ""
				| if type == "string" then . else tojson end)})
	elif $e.kind == "ask" then start
		| finish({type: "interrupt", interrupts: [interrupt]}; null)
	elif $e.kind == "answer" then
		if .s.run then custom("answer") else start({
			interruptId: ($d.ask // $d.request | tostring),
			status: (if $d.by == "withdrawn" then "cancelled"
				else "resolved" end),
			payload: ({approved: ($d.allow == true),
				message: $d.message, answer: $d.answer}
				| with_entries(select(.value != null)))}) end
	elif $e.kind == "result" then start
		| if $d.ok then finish({type: "success"};
			{text: ($d.text // "")})
		elif $d.interrupted then finish({type: "cancelled"}; null)
		else fail($d.reason // "failed";
			if $d.limit then "limit" else "failed" end) end
	elif $e.kind == "status" and $d.state == "stopped" then
		finish({type: "cancelled"}; null)
	elif $e.kind == "status" and (.s.run != null)
		and ($d.state == "failed" or $d.state == "interrupted") then
		fail($d.text // $d.reason // $d.state; $d.state)
	elif $e.kind == "status" and $d.state == "completed" then
		finish({type: "success"}; null)
	elif $e.kind == "error" then if .s.run then custom("error")
		else fail($d.text // "error"; "failed") end
	elif $e.kind == "raw" then if .s.run then put({type: "RAW",
		event: $d.line, source: $s.provider}) else . end
	else custom($e.kind) end;

{s: $in.state, out: []}
| if $e then kinds
	elif .s.run == null then .
	elif $s.over then fail($s.reason // "the session is over"; $s.state)
	else close end
| .out[], {state: .s}
