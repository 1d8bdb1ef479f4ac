#!/usr/bin/env bats
# forge-vm image build by recipes: what they are told, and the one for
# GitHub's runner, with a stand-in for its tarball.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load images

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
}

teardown() { common_teardown; }

@test "recipe: gets what was said, and builds" {
	local from
	from=$("$ROOT/tests/images.sh" "$BUILD" 3>&- 4>&-)
	cat >mine <<-'SH'
	#!/bin/sh
	echo "$FORGE_BASE $set_a ${set_b-}" >seen
	echo "$set_a" >f
	exec "$FORGE_VM" image build --base "$FORGE_BASE" --file f:/etc/f \
		--env A=1 --user nobody --workdir /etc --cmd cat --cmd f "$@"
	SH
	chmod +x mine
	run -0 --separate-stderr forge-vm -C "$PWD/state" image build \
		--recipe ./mine --base busybox --set a="x y" --set b= \
		--kernel "$from/image/busybox/kernel" --json it
	[ "$stderr" = "" ]
	[ "$(jq -r '.name, .base' <<<"$output" | paste -sd ' ')" = \
		"it busybox" ]
	[ "$(jq -c '.manifest | [.env, .user, .workdir, .cmd]' \
		<<<"$output")" = '[["A=1"],"nobody","/etc",["cat","f"]]' ]
	[ "$(cat seen)" = "busybox x y " ]
}

@test "recipe: its status is ours, and what is wrong is told" {
	printf '#!/bin/sh\nexit 9\n' >nine
	chmod +x nine
	run -9 forge-vm image build --recipe ./nine x
	run -3 --separate-stderr forge-vm image build --recipe ./none x
	[ "$stderr" = "forge-vm: no recipe './none', or it cannot be executed" ]
	run -2 forge-vm image build --recipe ../../etc x --set nothing
	run -3 forge-vm image build --recipe nonesuch x
	run -2 --separate-stderr forge-vm image build --recipe ./nine \
		--set 'a b=c' x
	[[ $stderr == "forge-vm: --set: 'a b=c' is not NAME=VALUE"* ]]
	run -2 forge-vm image build busybox --set a=b
	run -2 forge-vm image build busybox --env novalue
	run -2 forge-vm image build busybox --workdir relative
	run -2 --separate-stderr forge-vm image build busybox --tar nine:/x
	[[ $stderr == "forge-vm: --tar needs --base debian"* ]]
}

@test "runner: the tarball is named, and is what it should be" {
	run -2 --separate-stderr forge-vm image build runner
	[ "$stderr" = "forge-vm: recipe runner: give --set tarball=FILE or \
URL, and --set sha256=HEX" ]
	echo x >t.tar.gz
	sum=$(sha256sum <t.tar.gz | cut -d' ' -f1)
	run -1 --separate-stderr forge-vm image build runner \
		--set tarball=t.tar.gz --set sha256="${sum/?/z}"
	[ "$stderr" = "forge-vm: recipe runner: 't.tar.gz' has SHA-256 $sum, \
not ${sum/?/z}" ]
	run -2 --separate-stderr forge-vm image build runner \
		--set tarball=http://example.org/x --set sha256="$sum"
	[ "$stderr" = "forge-vm: recipe runner: 'http://example.org/x' is no \
https:// URL" ]
	run -3 forge-vm image build runner --set tarball=none \
		--set sha256="$sum"
	[ -z "$(ls -A "$FORGE_STATE/image" 2>/dev/null)" ]
}

@test "runner: is installed, and runs as its own user" {
	use_cache
	mkdir -p t/bin
	printf '#!/bin/sh\nid -un; pwd; sudo -n id -un; jq --version\n' >t/run.sh
	cp t/run.sh t/bin/Runner.Listener
	chmod +x t/run.sh t/bin/Runner.Listener
	tar -C t -czf t.tar.gz .
	run -0 forge-vm image build runner --quiet --set tarball=t.tar.gz \
		--set "sha256=$(sha256sum <t.tar.gz | cut -d' ' -f1)"
	run -0 forge-vm run --image runner --net none
	[ "${lines[0]}" = runner ]
	[ "${lines[1]}" = /opt/actions-runner ]
	[ "${lines[2]}" = root ]
	[[ ${lines[3]} == jq-* ]]
	# where forge-runner looks for it
	run -0 forge-vm run --image runner --net none -- \
		/opt/actions-runner/bin/Runner.Listener
	[ "${lines[0]}" = runner ]
}
