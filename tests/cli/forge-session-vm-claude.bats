#!/usr/bin/env bats
# The real claude in the place vm:IMAGE.  Without KVM a hypervisor takes
# minutes to start it, so the VM is one of driver process.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154

load lib
load session
load agents
load images

setup() {
	local file files=()
	common_setup
	agents_install
	command -v bwrap >/dev/null || skip "bubblewrap is not installed"
	file=$(readlink -f "$(command -v claude)")
	[ -x "$file" ] || skip "claude has no program for this machine"
	export FORGE_CONFIG=/dev/null
	mkdir -m 700 "$FORGE_STATE"
	model_start --api-key "$AGENT_KEY"
	git config -f "$FORGE_STATE/config" provider.claude.api "$MODEL_URL"
	git config -f "$FORGE_STATE/config" vm.driver process
	forge-session key claude <<<"$AGENT_KEY"
	use_image busybox
	files=(--file "$file:/usr/local/bin/claude")
	for file in /bin/bash "$(command -v git)" $( (ldd /bin/bash
		ldd "$(command -v git)"; ldd "$file") |
		grep -o '/[^ :]* ' | sort -u); do
		files+=(--file "$(realpath "$file"):$file")
	done
	forge-vm image build --base busybox "${files[@]}" claude >/dev/null
	git init -q repo
	git -C repo config user.name Test
	git -C repo config user.email test@example.org
	cat >repo/look <<-'SH'
	grep -c 'sk-forge-tes[t]' /proc/[0-9]*/environ /proc/[0-9]*/cmdline |
		grep -vc ':0$'
	find / -xdev -type f -size -65536k ! -path '/proc/*' ! -path '/sys/*' \
		-exec grep -l 'sk-forge-tes[t]' {} + | wc -l
	awk -F: 'NR > 2 { print $1 }' /proc/net/dev | xargs
	grep -l ANTHROPIC_API_KEY= /proc/[0-9]*/environ | grep -c . # it looks
	SH
	git -C repo add .
	git -C repo commit -qm first
}
teardown() { session_teardown; }

@test "claude in a VM: it commits, and the key is nowhere there" {
	run -0 --separate-stderr forge-session run --in vm:claude --name s1 \
		--repo "$PWD/repo" -- --allowedTools Bash,Write <<-TASK
	+bash sh look >found 2>/dev/null; echo \$?
	+write hello.txt hello
	+bash git add hello.txt && git commit -qm 'say hello'
	+say It is done.
	TASK
	dir=$(forge-session show s1 -q .dir)
	[ "$(git -C "$dir" log --format=%s | xargs -d '\n')" = 'say hello first' ]
	[ "$(git -C "$dir" show HEAD:hello.txt)" = hello ]
	mapfile -t found <"$dir/found"
	[ "${found[*]:0:3}" = '0 0 lo' ]
	[ "${found[3]}" -gt 0 ]
	[ "$(forge-session log s1 -q 'select(.kind == "output").data.text')" = 'It is done.' ]
	[ -z "$(grep -rl "$AGENT_KEY" "$FORGE_STATE" --exclude-dir=image)" ]
	# Its own session came back with its HOME: it goes on in another VM.
	run -0 --separate-stderr forge-session resume -f s1 -p '+say Again.'
	[ "$(forge-session log s1 -q 'select(.kind == "output").data.text' | tail -n 1)" = Again. ]
	[ "$(forge-vm list -q .name)" = '' ]
}
