#!/usr/bin/env bats
# Slurm as a place: `run = srun ...` in the configuration, nothing of ours
# beyond that.  A real munged, slurmctld and slurmd on loopback.

load lib

setup_file() {
	[ "$(id -u)" = 0 ] || skip "Slurm's daemons want to be root"
	common_setup
	github_start
	slurm_start || {
		cat munged.log ctld.log slurmd.log
		return 1
	}
}
teardown_file() {
	stop_background
	[ -z "${MUNGE-}" ] || rm -rf "$MUNGE"
}

free_port() {
	/usr/bin/python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

slurm_start() {
	local dir=$PWD host
	host=$(hostname -s)
	mkdir -p ctld spool
	# munged insists on a path that nobody else can write
	chmod 711 .
	MUNGE=$(mktemp -d /run/forge-munge.XXXXXX)
	chmod 755 "$MUNGE"
	export MUNGE SLURM_CONF=$dir/slurm.conf
	dd if=/dev/urandom of="$MUNGE/key" bs=1024 count=1 2>/dev/null
	chmod 400 "$MUNGE/key"
	background munged.log munged -F --force --key-file="$MUNGE/key" \
		--socket="$MUNGE/socket" --pid-file="$MUNGE/pid" \
		--log-file="$MUNGE/log" --seed-file="$MUNGE/seed"
	cat >slurm.conf <<-CONF
	ClusterName=forge
	SlurmctldHost=$host(127.0.0.1)
	SlurmctldPort=$(free_port)
	SlurmdPort=$(free_port)
	SlurmUser=root
	AuthInfo=socket=$MUNGE/socket
	CredType=cred/munge
	StateSaveLocation=$dir/ctld
	SlurmdSpoolDir=$dir/spool
	SlurmctldPidFile=$dir/ctld.pid
	SlurmdPidFile=$dir/slurmd.pid
	ProctrackType=proctrack/linuxproc
	TaskPlugin=task/none
	SelectType=select/linear
	MpiDefault=none
	ReturnToService=2
	NodeName=$host NodeAddr=127.0.0.1 State=UNKNOWN
	PartitionName=all Nodes=ALL Default=YES OverSubscribe=FORCE:8
	CONF
	wait_until 60 test -S "$MUNGE/socket"
	background ctld.log slurmctld -D -c -f "$SLURM_CONF"
	background slurmd.log slurmd -D -f "$SLURM_CONF"
	wait_until 60 slurm_ready
}

slurm_ready() { [ "$(sinfo -h -o %t 2>/dev/null)" = idle ]; }

setup() {
	common_setup
	mkdir -m 700 "$FORGE_STATE"
	export FORGE_CONFIG=/dev/null SLURM_CONF=$BATS_FILE_TMPDIR/slurm.conf
	echo "$GITHUB_PAT" >token
	REPO=acme/s$BATS_TEST_NUMBER
	cat >"$FORGE_STATE/config" <<-CONF
	[github "fake"]
		api = $GITHUB_URL
		token-file = $PWD/token
	[place "slurm"]
		run = srun --quiet --ntasks=1 --
	[pool "hpc"]
		scope = repo:$REPO
		labels = linux
		place = slurm
		runner-command = $ROOT/tests/fake/runner-listener run
	CONF
}
teardown() {
	forge-runner list -q .name | xargs -r forge-runner stop --now
	common_teardown
}

no_steps() { [ -z "$(squeue -h -s)" ] && [ -z "$(squeue -h)" ]; }

@test "slurm: a job succeeds, another fails, nothing stays" {
	github_job linux "echo \"\$SLURMD_NODENAME\" >'$PWD/node'" build "$REPO" >/dev/null
	run -0 --separate-stderr forge-runner run --pool hpc
	[ "$(cat node)" = "$(hostname -s)" ]
	[ "$(forge-runner list --all -q '[.place, .result] | @tsv')" = $'slurm\tsucceeded' ]
	github_job linux 'exit 3' build "$REPO" >/dev/null
	run -1 forge-runner run --pool hpc
	[ "$(forge-runner list --all -q 'select(.result == "failed") | .state')" = done ]
	wait_until 60 no_steps
	[ "$(fake GET /state | jq -r '.runners | length')" = 0 ]
}

@test "slurm: a runner that is stopped ends its step" {
	name=$(forge-runner start --pool hpc)
	idle() { [ "$(forge-runner show "$name" -q .state)" = idle ]; }
	wait_until 60 idle
	[ "$(squeue -h -s | wc -l)" = 1 ]
	run -0 forge-runner stop "$name"
	wait_until 60 no_steps
	[ "$(forge-runner show "$name" -q '[.state, .result] | @tsv')" = $'done\tunused' ]
	[ "$(fake GET /state | jq -r '.runners | length')" = 0 ]
}

@test "slurm: a job that is cancelled there is a runner that is lost, and said" {
	github_job linux 'sleep 60' build "$REPO" >/dev/null
	name=$(forge-runner start --pool hpc)
	begun() { forge-runner logs "$name" 2>/dev/null | grep -q 'Running job'; }
	wait_until 60 begun
	scancel --signal=KILL "$(squeue -h -o %i)"
	ended() { [ "$(forge-runner show "$name" -q .state)" = done ]; }
	wait_until 60 ended
	[ "$(forge-runner show "$name" -q .result)" != succeeded ]
	[ -n "$(forge-runner show "$name" -q .reason)" ]
	wait_until 60 no_steps
}

@test "slurm: kill -9 of the runner leaves no step" {
	github_job linux 'sleep 60' build "$REPO" >/dev/null
	name=$(forge-runner start --pool hpc)
	begun() { forge-runner logs "$name" 2>/dev/null | grep -q 'Running job'; }
	wait_until 60 begun
	kill -9 "$(pgrep -f "forge-runner run --state=$FORGE_STATE ")"
	forge-runner sync >/dev/null
	wait_until 60 no_steps
	[ "$(forge-runner show "$name" -q .state)" = done ]
}
