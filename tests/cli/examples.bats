#!/usr/bin/env bats
# The EXAMPLES of the manual pages do what they say.
#
# An example is a literal block (.Bd ... .Ed) in the section EXAMPLES with a
# mark in the line before it:
#
#	.\" test: TAG
#
# Lines that begin with "$ " are commands and with "> " their continuation;
# all of a block are one bash script, ended by the first failure.  The other
# lines are what the block prints on stdout: "..." stands for anything, and a
# block without such lines may print what it likes.  A block without commands
# is data and needs no mark.
#
# TAG says what must be there; each example has a state of its own:
#	plain	nothing
#	config	also: github "acme", its secret in the file secret, pool linux;
#		delivery.json, a queued job of acme/app; it was taken as g-1
#	github	also: a GitHub that has this job
#	vm	an image "busybox"
#	parse	(not run: it would take minutes, or change the host; the
#		commands must be known, and so must their options)

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load images
load uniform

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
}

teardown() { common_teardown; }

# extract PAGE: run-N.TAG (the script) and out-N (what it prints)
extract()
{
	section "$1" EXAMPLES | awk '
	/^\.\\" test: / { tag = $3; next }
	/^\.Bd / { inside = 1; n++; next }
	/^\.Ed/ {
		if (!commands && tag) print "unused mark: " tag >"bad"
		inside = commands = 0; tag = ""; next
	}
	!inside { next }
	{ gsub(/\\&/, ""); gsub(/\\e/, "\\") }
	/^[$>] / {
		if (!tag) print "no mark: " $0 >"bad"
		commands++
		print substr($0, 3) >("run-" n "." tag)
		next
	}
	commands { print >("out-" n) }'
}

a_delivery()
{
	jq -n --argjson id "$1" '{
		action: "queued",
		workflow_job: {
			$id, run_id: 7, run_attempt: 1, name: "build",
			workflow_name: "ci", status: "queued",
			labels: ["self-hosted", "linux"],
			created_at: "2026-11-21T06:00:00Z"
		},
		repository: { full_name: "acme/app" }
	}'
}

prepare_config()
{
	echo s3cret >secret
	echo ghp_fake >token
	cat >"$FORGE_STATE/config" <<-END
	[github "acme"]
		api = ${GITHUB_URL:-http://127.0.0.1:9}
		token-file = $PWD/token
		webhook-secret-file = $PWD/secret
	[pool "linux"]
		scope = repo:acme/app
		labels = self-hosted,linux
		place = here
		runner-command = $ROOT/tests/fake/runner-listener run
	END
	a_delivery "${1:-21}" >delivery.json
	forge-webhook accept --delivery g-1 --unsigned <delivery.json >/dev/null
}

prepare_github()
{
	github_start
	prepare_config "$(github_job self-hosted,linux 'echo in the job')"
}

# parse_only SCRIPT: the commands and options in it are known
parse_only()
{
	local words option
	bash -n "$1"
	read -ra words <"$1"
	[ -x "$BUILD/bin/${words[0]}" ]
	for option in "${words[@]}"; do
		[[ $option == --* ]] || continue
		program_options "${words[0]}" | grep -qxF -e "${option%%=*}"
	done
}

# matches FILE PATTERNS: line by line; "..." alone is any number of lines
matches()
{
	local pattern
	pattern=$(sed 's/[][*?\\]/\\&/g; s/\.\.\./*/g' "$2")
	# shellcheck disable=SC2053 # a pattern it is
	[[ $(tr -d '\r' <"$1") == $pattern ]]
}

# run_examples PAGE
run_examples()
{
	local page=$ROOT/man/$1 script number tag home=$PWD n=0
	mkdir "$home/all"
	cd "$home/all" || return 1
	extract "$page"
	[ ! -e bad ] || { cat bad; return 1; }
	for script in run-*; do
		number=${script%.*} tag=${script##*.}
		mkdir "$home/$number"
		cd "$home/$number" || return 1
		export FORGE_STATE=$PWD/state HOME=$PWD/home
		mkdir -m 700 state home
		case $tag in
		plain) ;;
		config) prepare_config ;;
		github) prepare_github ;;
		vm) use_image busybox ;;
		parse) parse_only "$home/all/$script" ;;
		*) echo "unknown mark $tag"; return 1 ;;
		esac
		n=$((n + 1))
		[ "$tag" != parse ] || continue
		timeout 120 bash -eu -o pipefail "$home/all/$script" \
			>stdout 2>stderr </dev/null 3>&- 4>&- || {
			echo "$1: status $? of:"
			cat "$home/all/$script"
			echo "stdout:"; cat stdout
			echo "stderr:"; cat stderr
			return 1
		}
		[ ! -e "$home/all/out-${number#run-}" ] ||
			matches stdout "$home/all/out-${number#run-}" || {
			echo "$1: another output of:"
			cat "$home/all/$script"
			diff "$home/all/out-${number#run-}" stdout
			return 1
		}
		stop_background
	done
	[ "$n" -ge "$2" ]
}

@test "forge(1)" { run_examples forge.1 3; }
@test "forge-agent(1)" { run_examples forge-agent.1 3; }
@test "forge-register(1)" { run_examples forge-register.1 4; }
@test "forge-runner(1)" { run_examples forge-runner.1 5; }
@test "forge-session(1)" { run_examples forge-session.1 5; }
@test "forge-provider(5)" { run_examples forge-provider.5 1; }
@test "forge-vm(1)" { run_examples forge-vm.1 7; }
@test "forge-webhook(1)" { run_examples forge-webhook.1 4; }
@test "forge-config(5)" { run_examples forge-config.5 2; }
@test "forge-state(5)" { run_examples forge-state.5 2; }
@test "forge-watch(8)" { run_examples forge-watch.8 4; }

@test "README: the first taste of VMs works, the rest is known" {
	local line n=0
	mkdir -m 700 "$FORGE_STATE"
	use_image busybox
	mkdir src
	touch src/file
	while read -r line; do
		line=${line%%  \#*} n=$((n + 1))
		case $line in
		*'forge-vm doctor'* | *'image build'* | *'forge-runner'* | \
			*'forge-watch'* | *'forge-session'* | \
			*'forge-register'* | *'forge-agent'*)
			echo "$line" >script
			parse_only script
			;;
		*) bash -eu -o pipefail -c "$line" </dev/null 3>&- 4>&- ;;
		esac
	done < <(sed -nE 's/^\t((forge-|tar ).*)/\1/p' "$ROOT/README.md")
	[ "$n" -ge 10 ]
}

@test "no page has marked examples that are not run" {
	local f
	for f in "$ROOT"/man/*.[1-8]; do
		grep -q '^\.\\" test: ' "$f" || continue
		grep -q "run_examples $(basename "$f") " \
			"$BATS_TEST_DIRNAME/examples.bats"
	done
}

@test "an example that fails, or prints something else, is noticed" {
	local f
	mkdir man
	printf '%s\n' '.Sh EXAMPLES' '.\" test: plain' '.Bd -literal' '$ false' \
		'.Ed' >man/bad.1
	printf '%s\n' '.Sh EXAMPLES' '.\" test: plain' '.Bd -literal' \
		'$ echo yes' 'no' '.Ed' >man/other.1
	printf '%s\n' '.Sh EXAMPLES' '.Bd -literal' '$ true' '.Ed' >man/unmarked.1
	printf '%s\n' '.Sh EXAMPLES' '.\" test: plain' '.Bd -literal' \
		'$ echo one; echo two' 'o...' '.Ed' >man/good.1
	for f in bad other unmarked; do
		ROOT=$PWD run -1 run_examples $f.1 1
		rm -rf all run-1
	done
	ROOT=$PWD run -0 run_examples good.1 1
}
