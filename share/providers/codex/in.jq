# What we tell Codex, as requests and replies of its app server (protocol v2);
# forge-provider(5).  .state is described in out.jq.

def call($id; $method; $params): {send: {$id, $method, $params}};

def words($text): [{type: "text", text: $text}];

def prompt($s; $text): call("prompt-\($s.n)"; "turn/start";
	{threadId: $s.thread, input: words($text)});

def reply($request; $result): {send: {id: ($request | fromjson), $result}};

# A question: the answer to each of its parts.
def answers($ids; $text): {answers: ([$ids[]
	| {(.): {answers: [$text]}}] | add // {})};

# It learns why not by what its user says next.
def why($s): if (.allow | not) and (.message // "") != ""
		and $s.turn != null then
		call("steer"; "turn/steer"; {threadId: $s.thread,
			expectedTurnId: $s.turn, input: words(.message)})
	else empty end;

(.state // {}) as $s
| if .kind == "start" then
	{state: {dir: .data.dir, resume: .data.session, model: .data.model,
		n: 0, queue: [], text: "", told: [], items: {}, open: {}}},
	call("initialize"; "initialize"; {clientInfo: {name: "forge",
		version: "1"}})
elif .kind == "message" and $s.thread == null then
	{state: ($s + {queue: ($s.queue + [.data.text])})}
elif .kind == "message" then
	($s + {n: ($s.n + 1)}) as $s | {state: $s}, prompt($s; .data.text)
elif .kind == "answer" then
	.data.request as $request | $s.open[$request] as $questions
	| {state: ($s | .open |= del(.[$request]))},
	if $questions | type == "array" then
		reply($request; answers($questions; .data.message // ""))
	else reply($request; {decision: (.data
		| if .allow then "accept" else "decline" end)}),
		(.data | why($s)) end
elif .kind == "interrupt" and $s.turn != null then
	{state: ($s + {open: {}})},
	($s.open | to_entries[] | if .value | type == "array"
		then reply(.key; {answers: {}})
		else reply(.key; {decision: "cancel"}) end),
	call("interrupt"; "turn/interrupt"; {threadId: $s.thread,
		turnId: $s.turn})
else empty end
