#!/usr/bin/env bats
# garm-provider-forge, executed as garm executes it: nothing in the
# environment but $GARM_..., JSON on stdin, JSON and a status back.

load lib
load images

setup_file() {
	common_setup
	use_image busybox
	github_start --runner-url-base 'http://10.127.0.1:{port}'
	FORGE_CONFIG=/dev/null forge-vm image build --base busybox --file \
		"$ROOT/tests/fake/runner-listener:/opt/actions-runner/bin/Runner.Listener" \
		runner >/dev/null
	mkdir files
	background garm.log "$ROOT/tests/fake/garm" "$PWD/garm.port" files t0ken
	wait_until 60 test -e garm.port
	LIB_GARM=http://127.0.0.1:$(cat garm.port)/api/v1
	export LIB_GARM LIB_STATE=$FORGE_STATE
	printf '[garm]\n\tstate = %s\n\tnet = user+loopback\n' \
		"$FORGE_STATE" >provider
}
teardown_file() {
	forge-vm list -q .name | xargs -r forge-vm destroy
	stop_background
}

setup() {
	common_setup
	export FORGE_STATE=$LIB_STATE
	FILES=$BATS_FILE_TMPDIR/files
	: >"$FILES/callbacks"
}

# provider VERSION COMMAND [NAME=VALUE...]
provider() {
	env -i GARM_INTERFACE_VERSION="$1" GARM_COMMAND="$2" \
		GARM_CONTROLLER_ID=c1 \
		GARM_PROVIDER_CONFIG_FILE="$BATS_FILE_TMPDIR/provider" \
		"${@:3}" "$BUILD/bin/garm-provider-forge"
}

# credentials NAME: what garm would have from GitHub for this runner
credentials() {
	jit "$1" linux | base64 -d >jit.json
	for f in runner credentials credentials_rsaparams; do
		jq -r --arg f ".$f" '.[$f] // ""' jit.json | base64 -d >"$FILES/$f"
	done
}

# bootstrap NAME [FILTER]: BootstrapInstance, as garm sends it
bootstrap() {
	jq -n --arg name "$1" --arg garm "$LIB_GARM" '{
		name: $name, tools: [], repo_url: "https://github.com/acme/app",
		"callback-url": ($garm + "/callbacks"),
		"metadata-url": ($garm + "/metadata"),
		"instance-token": "t0ken", "ssh-keys": [],
		extra_specs: {memory: "128M"}, "github-runner-group": "",
		"ca-cert-bundle": "", arch: "amd64", os_type: "linux",
		flavor: "1x256M", image: "runner", labels: ["linux"],
		pool_id: "p1", user_data_options: {}, jit_config_enabled: true,
		proxy_config: {}
	} | '"${2:-.}"
}

@test "garm: create, get, list, a job, delete, in both versions" {
	for version in v0.1.0 v0.1.1; do
		name=garm-Ab1${version//./-}
		credentials "$name"
		id=$(github_job linux 'echo "from garm"')
		bootstrap "$name" >bootstrap
		run -0 --separate-stderr provider "$version" CreateInstance \
			GARM_POOL_ID=p1 <bootstrap
		[ "$stderr" = '' ]
		[ "$(jq -c 'del(.addresses)' <<<"$output")" = '{"provider_id":"'"$name"'","name":"'"$name"'","os_type":"linux","os_name":"runner","os_version":"","os_arch":"amd64","status":"running"}' ]
		[ "$(jq -c '.addresses[0].type' <<<"$output")" = '"private"' ]
		[ "$(forge-vm show "$name" -q .memory_mb)" = 128 ]
		run -0 provider "$version" ListInstances GARM_POOL_ID=p1
		[ "$(jq -r '.[].name' <<<"$output")" = "$name" ]
		run -0 provider "$version" ListInstances GARM_POOL_ID=other
		[ "$output" = '[]' ]
		run -31 --separate-stderr provider "$version" CreateInstance \
			GARM_POOL_ID=p1 <bootstrap
		[ "$stderr" = "garm-provider-forge: there is an instance '$name' already" ]
		[ "$(fake GET "/jobs/$id/wait?timeout=20" | jq -r .conclusion)" = success ]
		stopped() {
			provider "$version" GetInstance GARM_INSTANCE_ID="$name" \
				GARM_POOL_ID=p1 | jq -e '.status == "stopped"' >/dev/null
		}
		wait_until 60 stopped
		run -0 --separate-stderr provider "$version" DeleteInstance \
			GARM_INSTANCE_ID="$name" GARM_POOL_ID=p1
		[ "$output$stderr" = '' ]
		run -30 --separate-stderr provider "$version" GetInstance \
			GARM_INSTANCE_ID="$name" GARM_POOL_ID=p1
		[ "$stderr" = "garm-provider-forge: there is no instance '$name'" ]
		[ -z "$(ls -A "$FORGE_STATE/garm")" ]
	done
	[ "$(wc -l <"$FILES/callbacks")" = 2 ]
	[ "$(tail -n 1 "$FILES/callbacks")" = '/api/v1/callbacks/status {"status":"idle","message":"the runner'"'"'s VM is up","agent_id":null}' ]
}

@test "garm: what cannot be created leaves nothing, and garm is told" {
	credentials bad
	bootstrap bad '.image = "nope"' >bootstrap
	run -125 --separate-stderr provider v0.1.1 CreateInstance GARM_POOL_ID=p1 <bootstrap
	[ "$output" = '' ]
	[[ "$stderr" == *"no image 'nope'"* ]]
	[ "$(jq -Rr 'split(" ")[1:] | join(" ") | fromjson | .status' "$FILES/callbacks")" = failed ]
	bootstrap bad '."instance-token" = "wrong"' >bootstrap
	run -6 --separate-stderr provider v0.1.1 CreateInstance GARM_POOL_ID=p1 <bootstrap
	[ "$stderr" = "garm-provider-forge: garm answers 401 for 'credentials/runner'" ]
	bootstrap bad '.jit_config_enabled = false' >bootstrap
	run -1 --separate-stderr provider v0.1.1 CreateInstance GARM_POOL_ID=p1 <bootstrap
	[[ "$stderr" == *"disable_jit_config must be off" ]]
	for mistake in '.name = "../x"' '.flavor = "big"' '.flavor = "0x1G"' \
		'.os_type = "windows"' '."instance-token" = "a\r\nX: y"' \
		'.extra_specs.memory = "lots"'; do
		bootstrap bad "$mistake" >bootstrap
		run --separate-stderr provider v0.1.1 CreateInstance GARM_POOL_ID=p1 <bootstrap
		[ "$status" = 1 ] || [ "$status" = 2 ]
		[ "$(wc -l <<<"$stderr")" = 1 ]
	done
	run -1 --separate-stderr provider v0.1.1 CreateInstance GARM_POOL_ID=p1 <<<nonsense
	[ -z "$(ls -A "$FORGE_STATE/garm" 2>/dev/null)" ]
	[ -z "$(forge-vm list)" ]
}

@test "garm: stop, start, remove all of a controller" {
	for name in one two; do
		credentials "$name"
		bootstrap "$name" | provider v0.1.1 CreateInstance GARM_POOL_ID=p1 >/dev/null
	done
	run -0 provider v0.1.1 StartInstance GARM_INSTANCE_ID=one GARM_POOL_ID=p1
	run -0 provider v0.1.1 StopInstance GARM_INSTANCE_ID=one GARM_POOL_ID=p1
	gone() { ! forge-vm show one >/dev/null 2>&1; }
	wait_until 60 gone
	run -1 --separate-stderr provider v0.1.1 StartInstance GARM_INSTANCE_ID=one GARM_POOL_ID=p1
	[ "$stderr" = "garm-provider-forge: instance 'one' has ended and is not used again: delete it and create another" ]
	run -0 provider v0.1.1 RemoveAllInstances GARM_CONTROLLER_ID=other
	[ "$(provider v0.1.1 ListInstances GARM_POOL_ID=p1 | jq length)" = 2 ]
	run -0 --separate-stderr provider v0.1.1 RemoveAllInstances
	[ "$output$stderr" = '' ]
	[ "$(provider v0.1.1 ListInstances GARM_POOL_ID=p1)" = '[]' ]
	[ -z "$(forge-vm list)$(ls -A "$FORGE_STATE/garm")" ]
}

@test "garm: versions, schemas, validation" {
	run -0 provider v0.1.1 GetSupportedInterfaceVersions
	[ "$output" = '["v0.1.0","v0.1.1"]' ]
	run -0 provider v0.1.1 GetVersion
	[ "$output" = "$(garm-provider-forge --version | cut -d' ' -f2)" ]
	for schema in GetConfigJSONSchema GetExtraSpecsJSONSchema; do
		run -0 provider v0.1.1 "$schema"
		jq -e '.type == "object"' <<<"$output" >/dev/null
	done
	run -0 provider v0.1.1 ValidatePoolInfo \
		GARM_POOL_EXTRASPECS="$(base64 <<<'{"cpus": 4}')" </dev/null
	run -1 --separate-stderr provider v0.1.1 ValidatePoolInfo \
		GARM_POOL_EXTRASPECS="$(base64 <<<'{"cpus": 400}')" </dev/null
	[ "$stderr" = 'garm-provider-forge: extra_specs: cpus is not 1 to 255' ]
	run -1 --separate-stderr provider v0.1.1 ValidatePoolInfo GARM_POOL_EXTRASPECS='%%%' </dev/null
	[ "$stderr" = "garm-provider-forge: \$GARM_POOL_EXTRASPECS is not JSON in base64" ]
	run -1 --separate-stderr provider v0.1.1 Nonsense
	[ "$stderr" = "garm-provider-forge: the command 'Nonsense' is not known" ]
	run -2 --separate-stderr env -i "$BUILD/bin/garm-provider-forge"
	[ "${stderr_lines[0]}" = "garm-provider-forge: \$GARM_COMMAND is not set: garm executes this program, nobody else" ]
}
