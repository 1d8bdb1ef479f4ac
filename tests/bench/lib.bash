# What the scripts here have in common: `. ./lib.bash "$@"` in their folder.
#
#	build, bin, tools	BUILD, its programs, and where helper() compiles
#	dir			scratch, removed at the end; $FORGE_STATE in it
#	need TOOL...		or stop
#	helper NAME [FILE...]	compile NAME.c into $tools
#	series NAME COMMAND...	one more sample: whole-process ms and CPU ms
#	median NAME [FIELD]	of the samples so far; least NAME
#	title, row		the table
#	start LOG COMMAND...	in the background; ended at the end
#
# Samples of what is compared are taken in turns, so that both see the same
# moods of the machine.  Figures are for reading: nothing here passes or fails.
set -eu
root=$(cd ../.. && pwd)
build=$(cd "$root" && cd "${1:-build}" && pwd)
bin=$build/bin tools=$build/bench
dir=$(mktemp -d "${TMPDIR:-/tmp}/forge-bench.XXXXXX")
export FORGE_STATE=$dir/state FORGE_CONFIG=$dir/none
export FORGE_LIBEXEC=$build/libexec LC_ALL=C PATH=$PATH:/usr/sbin
mkdir -p "$tools"
mkdir -m 700 "$FORGE_STATE"
pids=

cleanup() {
	local p
	for p in $pids; do
		kill "$p" 2>/dev/null && wait "$p" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null && continue
		echo "bench: '$tool' is not installed" >&2
		exit 1
	done
}

helper() { # NAME [FILE|-lLIBRARY...]
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -I"$root" \
		-o "$tools/$1" "$1.c" "${@:2}"
}

start() {
	"${@:2}" >"$dir/$1" 2>&1 </dev/null &
	pids="$! $pids"
}

series() {
	"$tools/took" "${@:2}" >>"$dir/$1"
}

# The lower of the two in the middle, of an even number.
median() {
	cut -d' ' -f"${2:-1}" "$dir/$1" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

least() { # NAME: on a busy machine the truest
	cut -d' ' -f1 "$dir/$1" | sort -n | sed -n 1p
}

title() { # TITLE [OURS BASELINE]
	printf '\n%-38s %11s %11s %8s\n' "$1" "${2:-FORGE}" "${3:-BASELINE}" \
		RATIO
}

row() { # LABEL OURS BASELINE
	awk -v l="$1" -v a="$2" -v b="$3" 'BEGIN {
		printf "%-38s %11.2f %11.2f %8.2f\n", l, a, b, b ? a / b : 0 }'
}

helper took
