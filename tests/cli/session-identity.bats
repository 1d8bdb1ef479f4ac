#!/usr/bin/env bats
# forge-session identity: keys made, imported in every form, sealed, shown.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	ME='Ada Example <ada@example.com>'
}

teardown() { common_teardown; }

# same_key FILE NAME: what is exported signs as the key in FILE does
same_key()
{
	[ "$(ssh-keygen -y -P '' -f "$1" | cut -d' ' -f1,2)" = \
		"$(forge-session identity show "$2" -q .public_key |
			cut -d' ' -f1,2)" ]
	(umask 077 && forge-session identity export --yes "$2" >exported)
	[ "$(ssh-keygen -y -P '' -f exported | cut -d' ' -f1,2)" = \
		"$(ssh-keygen -y -P '' -f "$1" | cut -d' ' -f1,2)" ]
}

# nowhere FILE: no 20 bytes of the key's secret part are in the state
nowhere()
{
	local secret
	secret=$(sed -n 4p "$1" | cut -c1-40)
	[ "${#secret}" = 40 ]
	run -1 grep -rF "$secret" state
}

@test "create: a key that ssh-keygen reads; only its public line is shown" {
	run -0 --separate-stderr forge-session identity create work \
		--author "$ME"
	[[ $output =~ ^ssh-ed25519\ [A-Za-z0-9+/=]+\ ada@example.com$ ]]
	[ "$stderr" = "" ]
	line=$output
	run -0 ssh-keygen -l -f - <<<"$line"
	[[ $output == "256 SHA256:"*" ada@example.com (ED25519)" ]]
	run -0 --separate-stderr forge-session identity show work --json
	[ "$(jq -r .public_key <<<"$output")" = "$line" ]
	[ "$(jq -c '[.name, .author_name, .author_email, .sign, .agent,
		.token]' <<<"$output")" = \
		'["work","Ada Example","ada@example.com",false,null,false]' ]
	[[ $output != *PRIVATE* ]]
	(umask 077 && forge-session identity export --yes work >key)
	run -0 ssh-keygen -y -f key
	[ "$output" = "$line" ]
	nowhere key
	run -0 forge-watch events -q '[.kind, .subject, .data.public_key]'
	[ "$output" = "$(jq -nc --arg l "$line" \
		'["identity.created", "work", $l]')" ]
}

@test "export wants --yes" {
	forge-session identity create work --author "$ME"
	run -2 --separate-stderr forge-session identity export work
	[ "$output" = "" ]
	[ "${stderr_lines[0]}" = "forge-session: export prints the private\
 key: say so by --yes" ]
}

@test "two of one name: the first stays" {
	forge-session identity create work --author "$ME" >first
	run -4 --separate-stderr forge-session identity create work \
		--author "$ME"
	[ "$output" = "" ]
	[ "$stderr" = "forge-session: identity 'work' exists" ]
	[ "$(forge-session identity show work -q .public_key)" = \
		"$(cat first)" ]
}

@test "an author is needed, and one that a commit can have" {
	local bad
	run -2 --separate-stderr forge-session identity create work
	[ "${stderr_lines[0]}" = \
		"forge-session: an identity needs --author 'Name <mail>'" ]
	for bad in Ada 'Ada <>' '<a@b>' 'A <a@b' 'A <a b>' 'A <<a@b>' \
		$'A\nB <a@b>' ''; do
		run -2 --separate-stderr forge-session identity create work \
			--author "$bad"
		[[ ${stderr_lines[0]} == "forge-session: --author '"*"' is\
 not of the form 'Name <mail>'" ]]
	done
	run -0 forge-session identity list
	[ "$output" = "" ]
}

@test "import: OpenSSH's format, from stdin and from a file" {
	ssh-keygen -q -t ed25519 -N '' -C old -f key
	forge-session identity import a --author "$ME" <key
	forge-session identity import b --author "$ME" key
	same_key key a
	same_key key b
	nowhere key
	ssh-keygen -q -t rsa -b 2048 -N '' -f rsa
	forge-session identity import c --author "$ME" rsa
	same_key rsa c
}

@test "import: encrypted, the passphrase by an fd" {
	ssh-keygen -q -t ed25519 -N 'two words' -f key
	run -1 --separate-stderr forge-session identity import work \
		--author "$ME" --passphrase-fd 7 key 7<<<'two word'
	[ "$stderr" = "forge-session: that is not the key's passphrase" ]
	forge-session identity import work --author "$ME" --passphrase-fd 7 \
		key 7<<<'two words'
	ssh-keygen -q -p -P 'two words' -N '' -f key
	same_key key work
	nowhere key
}

@test "import: encrypted, without anybody to ask" {
	ssh-keygen -q -t ed25519 -N secret -f key
	run -2 --separate-stderr setsid -w forge-session identity import work \
		--author "$ME" key
	[ "${stderr_lines[0]}" = "forge-session: the key is encrypted: give\
 its passphrase by --passphrase-fd, or run this at a terminal" ]
}

@test "import: encrypted, asked at the terminal" {
	ssh-keygen -q -t ed25519 -N secret -f key
	python3 - "$ME" <<'EOF' >shown
import os, pty, sys, termios, time
pid, fd = pty.fork()
if not pid:
    os.execvp("forge-session", ["forge-session", "identity", "import",
        "work", "--author", sys.argv[1], "key"])
seen = b""
while b"Passphrase: " not in seen:
    seen += os.read(fd, 1024)
# OpenSSL asks first and turns the echo off then.
while termios.tcgetattr(fd)[3] & termios.ECHO:
    time.sleep(0.01)
os.write(fd, b"secret\n")
try:
    while True:
        part = os.read(fd, 1024)
        if not part:
            break
        seen += part
except OSError:
    pass
print(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOF
	run -1 grep secret shown
	ssh-keygen -q -p -P secret -N '' -f key
	same_key key work
}

@test "import: PEM made by OpenSSL, plain and encrypted" {
	openssl genpkey -algorithm ed25519 -out plain.pem
	openssl pkcs8 -topk8 -in plain.pem -passout pass:geheim -out enc.pem
	forge-session identity import a --author "$ME" plain.pem
	run -1 --separate-stderr forge-session identity import b \
		--author "$ME" --passphrase-fd 7 enc.pem 7<<<falsch
	[ "$stderr" = "forge-session: that is not the key's passphrase" ]
	forge-session identity import b --author "$ME" --passphrase-fd 7 \
		enc.pem 7<<<geheim
	[ "$(forge-session identity show a -q .public_key)" = \
		"$(forge-session identity show b -q .public_key)" ]
	# the public bytes are those that OpenSSL has
	[ "$(openssl pkey -in plain.pem -pubout -outform DER | tail -c 32 |
		xxd -p -c 64)" = "$(forge-session identity show a \
		-q .public_key | cut -d' ' -f2 | base64 -d | tail -c 32 |
		xxd -p -c 64)" ]
	(umask 077 && forge-session identity export --yes a >key)
	run -0 ssh-keygen -y -f key
	run -1 grep -rF "$(sed -n 2p plain.pem)" state
}

@test "import: what is no key" {
	local text
	for text in '' hello "$(printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----')" \
		"$(openssl genpkey -algorithm ed25519 | openssl pkey -pubout)"; do
		run -1 --separate-stderr forge-session identity import work \
			--author "$ME" <<<"$text"
		[ "$output" = "" ]
		[ "$stderr" = "forge-session: that is no private key that\
 ssh-keygen or OpenSSL can read" ]
	done
	head -c 70000 /dev/zero >big
	run -8 --separate-stderr forge-session identity import work \
		--author "$ME" big
	[ "${#stderr_lines[@]}" = 1 ]
	run -3 forge-session identity import work --author "$ME" nowhere
}

@test "import: a public key, the private one with an agent" {
	ssh-keygen -q -t ed25519 -N '' -C here -f key
	run -2 --separate-stderr forge-session identity import work \
		--author "$ME" --agent sock key.pub
	[ "${stderr_lines[0]}" = \
		"forge-session: --agent 'sock' is not an absolute path" ]
	run -1 --separate-stderr forge-session identity import work \
		--author "$ME" --agent "$PWD/sock" key
	[[ $stderr == "forge-session: that is no public key of OpenSSH:"* ]]
	forge-session identity import work --author "$ME" \
		--agent "$PWD/sock" key.pub
	[ "$(forge-session identity show work -q .agent)" = "$PWD/sock" ]
	run -3 --separate-stderr forge-session identity export --yes work
	[ "$stderr" = "forge-session: the key of identity 'work' is with the\
 agent at '$PWD/sock'" ]
}

@test "token: kept sealed, never shown, and forgotten" {
	forge-session identity create work --author "$ME"
	run -0 --separate-stderr forge-session identity token work \
		<<<'ghp_verysecrettoken'
	[ "$output$stderr" = "" ]
	[ "$(forge-session identity show work -q .token)" = true ]
	run -1 grep -r ghp_verysecrettoken state
	run -2 forge-session identity token work <<<'two words'
	forge-session identity token work </dev/null
	[ "$(forge-session identity show work -q .token)" = false ]
	run -3 --separate-stderr forge-session identity token nobody <<<x
	[ "$stderr" = "forge-session: no identity 'nobody';\
 'forge-session identity list' shows all" ]
}

@test "rm: row and secrets" {
	forge-session identity create work --author "$ME"
	forge-session identity token work <<<token
	[ "$(sqlite3 state/forge.db 'SELECT count(*) FROM secret')" = 2 ]
	run -3 --separate-stderr forge-session identity rm nobody work
	[ "$stderr" = "forge-session: no identity 'nobody';\
 'forge-session identity list' shows all" ]
	[ "$(sqlite3 state/forge.db 'SELECT count(*) FROM secret')" = 0 ]
	run -0 forge-session identity list --json
	[ "$output" = "" ]
	run -0 forge-watch events -q .kind
	[ "${lines[*]}" = \
		"identity.created identity.changed identity.removed" ]
}
