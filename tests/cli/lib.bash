# Shared by the bats files of this directory: `load lib` at the top.
#
#	setup() { common_setup; }
#	teardown() { common_teardown; }
#
# A test then runs in $BATS_TEST_TMPDIR with nothing in its environment but
# HOME, PATH (the built programs, tests/fake, the system), LC_ALL=C, TZ=UTC
# and FORGE_STATE. Background programs are started by background(), which
# notes their pids, and stopped by common_teardown().
#
# The fake GitHub:
#
#	github_start [OPTION...]	sets GITHUB_URL and GITHUB_PAT
#	github_strict			GITHUB_URL now leads through Prism
#	gh GET /repos/acme/app/...	one call: JSON to stdout
#	fake POST /jobs JSON		one call of the private side
#	github_job LABELS SCRIPT	queues a job of acme/app, prints its id
#	receiver_start			sets RECEIVER (URL) and RECEIVED (folder)
#	listener JIT			becomes tests/fake/runner-listener
#	app_key				makes app.pem and app.pub
#	app_jwt [ISS [IAT [EXP]]]	prints a JWT signed by app.pem
#
# What costs seconds (Prism) is started once, in setup_file(), which calls
# common_setup, github_start and github_strict itself; `export` what the
# tests need and call stop_background in teardown_file().

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$ROOT/$BUILD ;;
esac
export ROOT BUILD

# The caller's own, from before the first common_setup(); npm needs its home.
LIB_PATH=${LIB_PATH:-$PATH}
LIB_HOME=${LIB_HOME:-${HOME:-/}}
export LIB_PATH LIB_HOME

# What a test may see of the caller's environment; sanitizers need theirs.
scrub_env()
{
	local name
	for name in $(compgen -e); do
		case $name in
		BATS_* | PATH | PWD | TERM | TMPDIR | ROOT | BUILD) ;;
		ASAN_OPTIONS | UBSAN_OPTIONS | LSAN_OPTIONS) ;;
		GITHUB_URL | GITHUB_FAKE | GITHUB_PAT | GITHUB_DIR) ;;
		LIB_* | RECEIVED | RECEIVER | MODEL_*) ;;
		*) unset "$name" ;;
		esac
	done
}

# Where this test (or, in setup_file, this file) may write.
tmpdir()
{
	echo "${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}"
}

common_setup()
{
	scrub_env
	cd "$(tmpdir)" || return 1
	export HOME=$PWD/home LC_ALL=C TZ=UTC FORGE_STATE=$PWD/state
	export PATH=$BUILD/bin:$BUILD/libexec:$ROOT/tests/fake:$LIB_PATH
	mkdir -p "$HOME"
}


common_teardown()
{
	stop_background
}

# background LOG COMMAND...: its pid is in $LAST_PID and on the stop list
background()
{
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null 3>&- 4>&- &
	LAST_PID=$!
	echo "$LAST_PID" >>"$(tmpdir)/pids"
}

# stop_pid PID: TERM, and KILL after five seconds
stop_pid()
{
	local tries
	kill "$1" 2>/dev/null || return 0
	for ((tries = 0; tries < 100; tries++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.05
	done
	kill -KILL "$1" 2>/dev/null || :
}

stop_background()
{
	local dir pid
	dir=$(tmpdir)
	if [ -d "$dir/prism" ]; then
		"$ROOT/tests/peer/prism.sh" stop "$dir/prism"
	fi
	[ -e "$dir/pids" ] || return 0
	while read -r pid; do
		stop_pid "$pid"
	done <"$dir/pids"
	rm -f "$dir/pids"
}

# wait_until SECONDS COMMAND...: fails when the time is over: 60, however slow
# the machine, unless what is waited for itself takes long
wait_until()
{
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || {
			echo "gave up waiting for: $*" >&2
			return 1
		}
		sleep 0.05
	done
}

github_start()
{
	GITHUB_DIR=$(tmpdir)/github
	GITHUB_PAT=ghp_fake
	mkdir -p "$GITHUB_DIR"
	rm -f "$GITHUB_DIR/port"
	background "$GITHUB_DIR/log" "$ROOT/tests/fake/github" --port 0 \
		--port-file "$GITHUB_DIR/port" --state "$GITHUB_DIR" \
		--pat "$GITHUB_PAT" "$@"
	wait_until 60 test -e "$GITHUB_DIR/port" || {
		cat "$GITHUB_DIR/log" >&2
		return 1
	}
	GITHUB_FAKE=http://127.0.0.1:$(cat "$GITHUB_DIR/port")
	GITHUB_URL=$GITHUB_FAKE
	export GITHUB_DIR GITHUB_PAT GITHUB_FAKE GITHUB_URL
}

# Skips only where npm itself is missing.
github_strict()
{
	local port
	command -v npm >/dev/null || skip "npm is not installed"
	HOME=$LIB_HOME "$ROOT/tests/peer/install.sh" || return 1
	port=$("$ROOT/tests/peer/prism.sh" start "$(tmpdir)/prism" \
		"${GITHUB_FAKE##*:}" 3>&- 4>&-) || return 1
	GITHUB_URL=http://127.0.0.1:$port
	export GITHUB_URL
}

# Everything that Prism refused: requests of ours, answers of the fake.
prism_violations()
{
	"$ROOT/tests/peer/prism.sh" violations "$1/prism"
}

# gh METHOD PATH [CURL-OPTION...]: as a client of GitHub with the PAT
gh()
{
	local method=$1 path=$2
	shift 2
	curl -sS -m 20 -X "$method" -H 'Accept: application/vnd.github+json' \
		-H "Authorization: Bearer $GITHUB_PAT" \
		-H 'Content-Type: application/json' "$@" "$GITHUB_URL$path"
}

# gh_status METHOD PATH [CURL-OPTION...]: the HTTP status only
gh_status()
{
	gh "$1" "$2" -o /dev/null -w '%{http_code}\n' "${@:3}"
}

# fake METHOD PATH [JSON]: the private side, /_fake/PATH
fake()
{
	curl -sS -m 60 -X "$1" ${3:+-d "$3"} "$GITHUB_FAKE/_fake$2"
}

# github_job LABELS SCRIPT [NAME [REPO]]: LABELS separated by commas
github_job()
{
	fake POST /jobs "$(jq -n --arg labels "$1" --arg script "$2" \
		--arg name "${3:-build}" --arg repo "${4:-acme/app}" '{
			$repo, $name, $script, labels: ($labels | split(","))
		}')" | jq -r .id
}

# jit NAME LABELS [BASE]: mints a JIT configuration
jit()
{
	local body
	body=$(jq -n --arg name "$1" --arg labels "$2" '{
		$name, runner_group_id: 1, labels: ($labels | split(","))
	}')
	gh POST "${3:-/repos/acme/app}/actions/runners/generate-jitconfig" \
		-d "$body" | jq -r .encoded_jit_config
}

# receiver_start [STATUS]: keeps POSTs in $RECEIVED; $RECEIVER is its URL
receiver_start()
{
	RECEIVED=$(tmpdir)/received
	mkdir -p "$RECEIVED"
	background "$RECEIVED/log" "$ROOT/tests/fake/receiver" \
		"$RECEIVED/port" "$RECEIVED" "$@"
	wait_until 60 test -e "$RECEIVED/port" || return 1
	RECEIVER=http://127.0.0.1:$(cat "$RECEIVED/port")/
	export RECEIVED RECEIVER
}

# busybox_bin DIR: only those applets that a guest has, under their names
busybox_bin()
{
	local applet
	mkdir -p "$1"
	for applet in ash sh base64 cat date mkdir mktemp rm sed setsid sleep \
		tail wget; do
		ln -sf "$(command -v busybox)" "$1/$applet"
	done
}

# listener JIT [NAME=VALUE...]: as in a guest: busybox and nothing else
listener()
{
	local config=$1
	shift
	busybox_bin "$(tmpdir)/bb"
	exec env -i PATH="$(tmpdir)/bb" TMPDIR="$(tmpdir)" \
		ACTIONS_RUNNER_INPUT_JITCONFIG="$config" \
		ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED=1 "$@" \
		"$(tmpdir)/bb/ash" "$ROOT/tests/fake/runner-listener" run
}

app_key()
{
	openssl genrsa -out app.pem 2048 2>/dev/null
	openssl rsa -in app.pem -pubout -out app.pub 2>/dev/null
}

b64url()
{
	openssl base64 -A | tr '+/' '-_' | tr -d '='
}

# app_jwt [ISS [IAT [EXP]]]: times are seconds from now
app_jwt()
{
	local now head body
	now=$(date +%s)
	head=$(printf '{"alg":"RS256","typ":"JWT"}' | b64url)
	body=$(printf '{"iat":%d,"exp":%d,"iss":"%s"}' "$((now + ${2:--60}))" \
		"$((now + ${3:-540}))" "${1:-1}" | b64url)
	printf '%s.%s.%s\n' "$head" "$body" "$(printf '%s.%s' "$head" \
		"$body" | openssl dgst -sha256 -sign app.pem -binary | b64url)"
}
