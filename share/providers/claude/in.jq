# What we tell Claude Code, as lines for its stdin; forge-provider(5).

def answer:
	if .allow then {behavior: "allow", updatedInput: .input}
		+ if .always then {updatedPermissions: (.suggestions // [])}
			else {} end
	else {behavior: "deny", message: (.message // "The user said no."),
		interrupt: (.interrupt == true)} end;

if .kind == "message" then {send: {type: "user", message: {role: "user",
	content: .data.text}, parent_tool_use_id: null, session_id: ""}}
elif .kind == "answer" then {send: {type: "control_response", response: {
	subtype: "success", request_id: .data.request,
	response: (.data | answer)}}}
elif .kind == "interrupt" then {send: {type: "control_request",
	request_id: "interrupt-\(.data.n)", request: {subtype: "interrupt"}}}
else empty end
