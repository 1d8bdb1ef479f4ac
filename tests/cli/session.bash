# Sessions with an agent of ours: `load session` beside `load lib`.
#
#	setup() { session_setup; }
#	teardown() { session_teardown; }

# session_setup: the provider claude is tests/fake/agent
session_setup()
{
	common_setup
	export FORGE_CONFIG=$PWD/config
	printf '[provider "claude"]\n\tprogram = %s\n' \
		"$ROOT/tests/fake/agent" >config
}

# session_teardown: no session is left at work
session_teardown()
{
	local id
	for id in $(forge-session list -q .id 2>/dev/null); do
		timeout 30 forge-session stop "$id" 2>/dev/null || :
	done
	common_teardown
}
