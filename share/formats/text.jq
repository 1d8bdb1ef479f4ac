# For people; forge-format(5).  What agents say is masked when it is printed.

. as $in | $in.event as $e | ($e.data // {}) as $d | $in.state as $state
| def plain: if type == "string" then . elif . == null then "" else tojson end;
def lines: split("\n") | if .[-1] == "" then .[:-1] else . end;
def cut($n): if length > $n then .[:$n] + "..." else . end;
def first_lines($n): lines
	| (if length > $n then .[:$n] + ["... \(length - $n) more lines"]
	else . end) | map("    " + cut(400)) | join("\n");
# Of a tool's input: what people want to see of it.
def gist: if type != "object" then plain
	else (.command // .file_path // .path // .url // .pattern // .query
		// (if . == {} then "" else . end)) | plain end
	| gsub("\n"; "\\n") | cut(400);
# A line of its own, also when a piece of text stands before it.
def line($s): {text: ((if $state.open then "\n" else "" end) + $s + "\n")};
def closed: {state: ($state + {open: false, streamed: false})};
def cost: if ($state.cost // 0) > 0 then
	" ($\(($state.cost * 10000 | round) / 10000))" else "" end;

if $e == null then if $state.open then {text: "\n"} else empty end
elif $e.kind == "output" then
	if $d.partial then {text: ($d.text // "")},
		{state: ($state + {open: true, streamed: true})}
	elif $state.streamed then line("") | .text |= .[1:] | ., closed
	elif ($d.text // "") == "" then empty
	else line($d.text), closed end
elif $e.kind == "thinking" then
	if $d.partial or ($d.text // "") == "" then empty
	else line("~ " + ($d.text | lines | join("\n~ "))), closed end
elif $e.kind == "message" then
	line("> " + ($d.text // "" | lines | join("\n> "))), closed
elif $e.kind == "tool.use" then
	line("* \($d.name // "tool") \($d.input | gist)"), closed
elif $e.kind == "tool.result" then
	($d.output | plain) as $text
	| if $d.error then line("! failed" + if $text == "" then "" else "\n"
		+ ($text | first_lines(10)) end)
	elif $text == "" then empty
	else line($text | first_lines(10)) end, closed
elif $e.kind == "ask" then line(
	"? \($d.ask // "") " + (if $d.tool then "\($d.tool) \($d.input | gist)"
	else $d.text // "" end)), closed
elif $e.kind == "answer" then line(
	"? \($d.ask // "") " + (if $d.by == "withdrawn" then "withdrawn"
	elif $d.allow then "allowed" else "denied" end)
	+ (if $d.by and $d.by != "withdrawn" then " by \($d.by)" else "" end)
	+ (if ($d.message // "") != "" then ": \($d.message)" else "" end)),
	closed
elif $e.kind == "usage" then {state: ($state
	+ {cost: (if $d.total then $d.cost_usd
		else ($state.cost // 0) + ($d.cost_usd // 0) end)})}
elif $e.kind == "result" then
	if $d.ok then line("= done" + cost)
	elif $d.interrupted then line("= interrupted" + cost)
	else line("= failed: \($d.reason // "")" + cost) end, closed
elif $e.kind == "error" then line("! \($d.text // "")"), closed
elif $e.kind == "status" and ($d.text // "") != "" then
	line("- \($d.text)"), closed
else empty end
