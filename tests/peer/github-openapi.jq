# GitHub's OpenAPI description, reduced to the calls that forge makes: the
# paths below and every component they refer to, so that a validating proxy
# starts in a second or two.
#
# GitHub answers any call with 401, 403, 429 or 5xx and does not list that
# for each: the "default" answer added here admits them as plain errors. What
# is listed stays as strict as GitHub wrote it.
#
# A webhook is described too: the one named workflow-job-queued becomes the
# path /_webhooks/workflow-job-queued, so that posting a payload there has it
# checked (422 when it is not as GitHub says).

def forge_calls:
	test("^/(repos/[^/]+/[^/]+|orgs/[^/]+|enterprises/[^/]+)/actions/runner(s|-groups)(/|$)")
	or test("^/repos/[^/]+/[^/]+/actions/(jobs|runs)(/|$)")
	or test("^/(orgs/[^/]+/repos|(repos/[^/]+|orgs)/[^/]+/hooks)$")
	or test("^/(app/hook|(repos/[^/]+|orgs)/[^/]+/hooks/[^/]+)/deliveries(/|$)")
	or test("^/(repos/[^/]+|orgs|users)/[^/]+/installation$")
	or test("^/app(/installations(/[^/]+(/access_tokens)?)?)?$")
	or test("^/(rate_limit|installation/repositories)$");

# The environment may choose other paths, for `prism.sh mock`.
def wanted:
	if $ENV.ONLY then test($ENV.ONLY) else forge_calls end;

# Two forms that Prism cannot compile, whereupon it checks nothing at all, in
# silence: null twice among the values (it adds one itself), and "nullable"
# without a type. The second is the account of an installation, a user or an
# enterprise or null (in one place, by mistake, both at once): here a user,
# which an organization is, too.
def compilable:
	walk(if type == "object" and .nullable == true then
		(if (.enum | type) == "array" then .enum -= [null]
			else . end)
		| (if has("type") then .
			elif .anyOf // .allOf then (.anyOf // .allOf)[0]
			else del(.nullable) end)
	else . end);

def refs:
	[.. | objects | .["$ref"]? // empty | strings | select(startswith("#/"))
		| ltrimstr("#/") | split("/") | map(gsub("~1"; "/"))];

# closure($root): all component paths reachable from the value
def closure($root):
	def grow($seen; $new):
		if $new == [] then $seen
		else
			($seen + $new) as $all
			| [$new[] as $path | $root | getpath($path) | refs[]]
			| unique - $all
			| . as $next
			| grow($all; $next)
		end;
	refs | unique | . as $first | grow([]; $first);

def plain_error:
	{
		description: "Any other failure",
		content: {"application/json": {
			schema: {"$ref": "#/components/schemas/basic-error"}
		}}
	};

def webhooks:
	.["x-webhooks"]
	| with_entries(select(.key | startswith("workflow-job-"))
		| .key |= "/_webhooks/" + .);

. as $root
| ((.paths | with_entries(select(.key | wanted))) + webhooks
	| map_values(map_values(
		if type == "object" and has("responses")
		then .responses += {default: plain_error,
			"304": {description: "Not modified"}}
		else . end))) as $paths
| {
	openapi, info, paths: $paths, components: {},
	servers: [{url: "/"}]
}
| reduce ($paths | closure($root))[] as $path
	(.; setpath($path; $root | getpath($path)))
| compilable
