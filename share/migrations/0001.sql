-- Times are INTEGER ms UTC.  Each table has one owner: the part of lib/ named
-- in brackets writes it, others read it.

-- [state] What happened, append only.
CREATE TABLE event (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	data TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX event_subject ON event (subject, seq);

-- [state] Sealed values: installation tokens and the like.
CREATE TABLE secret (
	name TEXT PRIMARY KEY,
	sealed BLOB NOT NULL,
	expires_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- [session] Channels of [notify "NAME"], and how far each has been told.
CREATE TABLE channel (
	name TEXT PRIMARY KEY,
	seq INTEGER NOT NULL,     -- of the last event that is done with
	sent INTEGER NOT NULL DEFAULT 0,
	refused INTEGER NOT NULL DEFAULT 0,
	failures INTEGER NOT NULL DEFAULT 0, -- in a row
	retry_at INTEGER NOT NULL DEFAULT 0, -- not before; 0: now
	error TEXT,               -- what the last failure said
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- [vm] Bootable images; the files are image/NAME/.
CREATE TABLE image (
	name TEXT PRIMARY KEY,
	state TEXT NOT NULL CHECK (state IN ('building', 'ready')),
	base TEXT NOT NULL,
	digest TEXT,
	size INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL,
	used_at INTEGER NOT NULL DEFAULT 0 -- built here, or a VM booted from it
) STRICT, WITHOUT ROWID;

-- [vm] One row per VM that exists; the lock run/vm/NAME says whether a
-- supervisor lives.
CREATE TABLE vm (
	name TEXT PRIMARY KEY,
	state TEXT NOT NULL CHECK (state IN
		('starting', 'running', 'paused', 'stopping', 'stopped',
		'crashed')),
	image TEXT NOT NULL,
	driver TEXT NOT NULL,
	net TEXT NOT NULL,
	egress TEXT,              -- of a tap: see lib/vm/egress.h
	cpus INTEGER NOT NULL,
	memory_mb INTEGER NOT NULL,
	mac TEXT,
	address TEXT,             -- of a driver that gives it, see driver.h
	supervisor TEXT,          -- identity of the process, see proc.h
	hypervisor TEXT,          -- likewise
	keep INTEGER NOT NULL DEFAULT 0, -- 1: stays as a row when it ends
	status INTEGER,           -- exit status it ended with
	reason TEXT,              -- why it ended, one line
	ttl_ms INTEGER NOT NULL DEFAULT 0, -- 0: none
	idle_ms INTEGER NOT NULL DEFAULT 0, -- 0: none
	hold_until INTEGER,       -- held until then; NULL: not held
	restart INTEGER NOT NULL DEFAULT 0, -- 1: comes back after a crash
	restarts INTEGER NOT NULL DEFAULT 0, -- in a row
	argv TEXT,                -- JSON, of its supervisor; NULL without keep
	warm TEXT,                -- waits, paused, in this pool; NULL: does not
	created_at INTEGER NOT NULL,
	ready_at INTEGER,
	ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX vm_live ON vm (state) WHERE state IN
	('starting', 'running', 'paused', 'stopping');

-- [vm] Pools of VMs that wait to be taken.
CREATE TABLE warm (
	snapshot TEXT PRIMARY KEY, -- they continue from
	image TEXT NOT NULL,
	driver TEXT NOT NULL,
	net TEXT NOT NULL,
	cpus INTEGER NOT NULL,
	memory_mb INTEGER NOT NULL,
	wanted INTEGER NOT NULL   -- 0: to be removed
) STRICT, WITHOUT ROWID;

-- [vm] Addresses in use.  A lease without a VM belongs to a person or script
-- (`forge-vm lease take`).
CREATE TABLE lease (
	address INTEGER PRIMARY KEY, -- IPv4 as a number
	holder TEXT NOT NULL UNIQUE,
	vm TEXT UNIQUE REFERENCES vm (name) ON DELETE CASCADE,
	taken_at INTEGER NOT NULL
) STRICT;
-- [vm] Where a VM is reached: at its lease, or where its driver says.
CREATE VIEW vm_address AS
	SELECT v.name AS vm, iif(l.address IS NULL, v.address,
		format('%d.%d.%d.%d', l.address >> 24, l.address >> 16 & 255,
			l.address >> 8 & 255, l.address & 255)) AS address
	FROM vm v LEFT JOIN lease l ON l.vm = v.name;

-- [vm] What `forge-vm setup` changed on this host, for --undo: each row is
-- written before its change.
CREATE TABLE host_change (
	id INTEGER PRIMARY KEY,
	what TEXT NOT NULL UNIQUE, -- "sysctl net.ipv4.ip_forward", "route ..."
	before TEXT,              -- of a sysctl: its value then
	after TEXT NOT NULL,      -- what it was changed to
	boot TEXT NOT NULL        -- id of the boot: another one has forgotten it
) STRICT;

-- [vm] The address last given: freed ones rest before they are given again.
CREATE TABLE lease_cursor (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	address INTEGER NOT NULL
) STRICT;

-- [runner] Webhook deliveries; the GUID is the same on a redelivery.
CREATE TABLE delivery (
	guid TEXT PRIMARY KEY,
	event TEXT NOT NULL,
	action TEXT,
	hook TEXT,
	received_at INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_received ON delivery (received_at);

-- [runner] Workflow jobs as far as GitHub has told us.  States only move
-- forward: waiting < queued < in_progress < completed.
CREATE TABLE job (
	id INTEGER PRIMARY KEY,
	attempt INTEGER NOT NULL DEFAULT 1,
	run_id INTEGER NOT NULL,
	repo TEXT NOT NULL,       -- owner/name
	org TEXT,
	enterprise TEXT,
	workflow TEXT,
	name TEXT NOT NULL,
	labels TEXT NOT NULL,     -- JSON array, lower case, sorted
	state TEXT NOT NULL CHECK (state IN
		('waiting', 'queued', 'in_progress', 'completed')),
	conclusion TEXT,
	runner TEXT,              -- name of the runner that took it
	installation INTEGER,
	url TEXT,
	queued_at INTEGER,
	started_at INTEGER,
	completed_at INTEGER,
	missing_at INTEGER,       -- when GitHub first did not know it
	updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX job_open ON job (state) WHERE state <> 'completed';
-- Covers a decision; SQLite 3.40 asks for state, though it can be but one.
CREATE INDEX job_queued ON job (repo, enterprise, labels, queued_at, updated_at,
	state)
	WHERE state = 'queued';
CREATE INDEX job_runner ON job (runner) WHERE runner IS NOT NULL;

-- [runner] One row per ephemeral runner; names are never used again.
CREATE TABLE runner (
	name TEXT PRIMARY KEY,
	pool TEXT,
	scope TEXT NOT NULL,      -- repo:o/r, org:o, enterprise:e
	labels TEXT NOT NULL,     -- JSON array, lower case, sorted
	place TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN
		('starting', 'booted', 'registering', 'idle', 'busy', 'ending',
		'held', 'done')),
	cpus INTEGER NOT NULL DEFAULT 0, -- of the VM, where the place is one
	memory INTEGER NOT NULL DEFAULT 0, -- bytes, likewise
	on_demand INTEGER NOT NULL DEFAULT 0, -- 1: goes when no job waits
	asked_at INTEGER,         -- GitHub was last asked to remove it
	version TEXT,             -- of the listener, as it says
	image TEXT,               -- what its VM booted
	digest TEXT,              -- of that image
	address TEXT,             -- of its VM
	hold_ms INTEGER,          -- keep the place that long when it fails
	held_until INTEGER,       -- state held: until then
	github_id INTEGER,
	registered INTEGER NOT NULL DEFAULT 0, -- 1: GitHub may know it
	vm TEXT,
	job INTEGER REFERENCES job (id) ON DELETE SET NULL,
	result TEXT CHECK (result IN ('succeeded', 'failed', 'cancelled',
		'skipped', 'abandoned', 'unused', 'lost', 'error')),
	reason TEXT,
	supervisor TEXT,          -- identity of the process, see proc.h
	created_at INTEGER NOT NULL,
	booted_at INTEGER,
	registered_at INTEGER,
	busy_at INTEGER,
	done_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX runner_open ON runner (state) WHERE state <> 'done';
CREATE INDEX runner_unremoved ON runner (registered) WHERE registered = 1;
CREATE INDEX runner_done ON runner (pool, done_at, result)
	WHERE state = 'done';

-- [runner] Instances that a garm provider has, or may have: one row per runner
-- of a place garm:NAME, written before the instance is asked for.
CREATE TABLE instance (
	name TEXT PRIMARY KEY,    -- of the runner
	place TEXT NOT NULL,      -- NAME of [garm "NAME"]
	pool TEXT NOT NULL,       -- id of the pool, as the provider knows it
	provider_id TEXT,         -- NULL: not known
	address TEXT,
	token_hash BLOB UNIQUE,   -- of the instance's token; NULL: no more
	token_until INTEGER NOT NULL,
	status TEXT,              -- what it said of itself last
	message TEXT,
	os TEXT,                  -- likewise
	calls INTEGER NOT NULL DEFAULT 0, -- that were noted
	called_at INTEGER,        -- first; NULL: it has not been heard of
	handed INTEGER NOT NULL DEFAULT 0, -- 1: its configuration is there
	created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- [runner] Who we are to garm's providers (one row).
CREATE TABLE controller (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	uuid TEXT NOT NULL
) STRICT;

-- [runner] Versions of the listener that GitHub was seen to release.
CREATE TABLE release (
	version TEXT PRIMARY KEY,
	seen_at INTEGER NOT NULL, -- first
	asked_at INTEGER NOT NULL -- last
) STRICT, WITHOUT ROWID;

-- [runner] Conditional requests: what GitHub answered last; see etag.h.
CREATE TABLE etag (
	url TEXT PRIMARY KEY,
	tag TEXT NOT NULL,
	body TEXT NOT NULL,
	at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- [session] A coding agent at work.  The lock run/session/ID says whether its
-- supervisor lives.
CREATE TABLE session (
	id TEXT PRIMARY KEY,
	state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'waiting',
		'idle', 'limited', 'completed', 'failed', 'stopped',
		'interrupted')),
	provider TEXT NOT NULL,
	place TEXT NOT NULL,
	dir TEXT,                 -- where the agent works; NULL: not made yet
	identity TEXT,            -- who commits and pushes
	repo TEXT,                -- URL or path; NULL: a plain directory
	base TEXT,                -- branch it began from
	branch TEXT,              -- branch it works on
	model TEXT,
	agent_session TEXT,       -- the agent's own id, to resume
	options TEXT NOT NULL DEFAULT '{}', -- JSON: see lib/session/session.h
	cost_microusd INTEGER NOT NULL DEFAULT 0,
	tokens_in INTEGER NOT NULL DEFAULT 0,
	tokens_out INTEGER NOT NULL DEFAULT 0,
	turns INTEGER NOT NULL DEFAULT 0,
	max_cost_microusd INTEGER, -- limits; NULL: none
	max_tokens INTEGER,
	max_turns INTEGER,
	timeout_ms INTEGER,       -- of all its turns together
	idle_timeout_ms INTEGER,
	limited_until INTEGER,    -- state limited: until then
	cut INTEGER NOT NULL DEFAULT 0, -- 1: it ended in the middle of a turn
	status INTEGER,           -- exit status that tells the outcome
	reason TEXT,              -- why it is in this state, one line
	supervisor TEXT,          -- identity of the process, see proc.h
	created_at INTEGER NOT NULL,
	started_at INTEGER,       -- the agent, last
	turn_at INTEGER,          -- the last turn began
	ended_at INTEGER,
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_live ON session (state) WHERE state IN
	('pending', 'running', 'waiting', 'idle', 'limited');
CREATE INDEX session_repo ON session (repo) WHERE repo IS NOT NULL;
CREATE INDEX session_created ON session (created_at);

-- [session] Who commits and pushes.  The private key and the token are in
-- secret, as identity/NAME and identity/NAME/token.
CREATE TABLE identity (
	name TEXT PRIMARY KEY,
	author_name TEXT NOT NULL,
	author_email TEXT NOT NULL,
	public_key TEXT NOT NULL, -- one line, as in authorized_keys
	agent TEXT,               -- socket that has the key; NULL: we have it
	sign INTEGER NOT NULL DEFAULT 0 CHECK (sign IN (0, 1)),
	created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- [session] What a session has in a repository.
CREATE TABLE worktree (
	session TEXT NOT NULL,    -- stays when the session is forgotten
	name TEXT NOT NULL,       -- its directory below work; '': work itself
	repo TEXT NOT NULL,       -- URL, or path of the user's own checkout
	hash TEXT,                -- repo/HASH.git; NULL: the user's own
	base TEXT,                -- branch it began from; NULL: empty repository
	base_commit TEXT,         -- what that was then
	branch TEXT,              -- branch it works on
	dir TEXT NOT NULL,        -- absolute
	git TEXT NOT NULL,        -- directory that has its HEAD, absolute
	state TEXT NOT NULL CHECK (state IN ('making', 'ready', 'removing')),
	pushed TEXT,              -- commit that was pushed last
	pushed_branch TEXT,       -- to there
	request TEXT,             -- URL of the pull request
	created_at INTEGER NOT NULL,
	PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX worktree_branch ON worktree (hash, branch)
	WHERE hash IS NOT NULL;

-- [session] Which state may follow which; there is no way around it.
CREATE TABLE session_transition (
	before TEXT NOT NULL,
	after TEXT NOT NULL,
	PRIMARY KEY (before, after)
) STRICT, WITHOUT ROWID;
INSERT INTO session_transition VALUES
	('pending', 'running'), ('pending', 'failed'), ('pending', 'stopped'),
	('pending', 'interrupted'),
	('running', 'waiting'), ('running', 'idle'), ('running', 'limited'),
	('running', 'completed'), ('running', 'failed'),
	('running', 'stopped'), ('running', 'interrupted'),
	('waiting', 'running'), ('waiting', 'idle'), ('waiting', 'limited'),
	('waiting', 'completed'), ('waiting', 'failed'),
	('waiting', 'stopped'), ('waiting', 'interrupted'),
	('idle', 'running'), ('idle', 'limited'), ('idle', 'completed'),
	('idle', 'failed'), ('idle', 'stopped'), ('idle', 'interrupted'),
	('limited', 'running'), ('limited', 'idle'), ('limited', 'completed'),
	('limited', 'failed'), ('limited', 'stopped'),
	('limited', 'interrupted'),
	('completed', 'pending'), ('failed', 'pending'),
	('stopped', 'pending'), ('interrupted', 'pending');

CREATE TRIGGER session_begins BEFORE INSERT ON session
WHEN NEW.state <> 'pending' BEGIN
	SELECT RAISE(ABORT, 'a session begins as pending');
END;
CREATE TRIGGER session_moves BEFORE UPDATE OF state ON session
WHEN NEW.state <> OLD.state AND NOT EXISTS (SELECT 1 FROM session_transition
	WHERE before = OLD.state AND after = NEW.state) BEGIN
	SELECT RAISE(ABORT, 'a session cannot go from that state to this');
END;

-- [session] What an agent asked and somebody must answer.
CREATE TABLE ask (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
	request TEXT NOT NULL,    -- the agent's own id of it
	tool TEXT,                -- NULL: a question, not a tool
	data TEXT NOT NULL,       -- JSON, as in the transcript
	state TEXT NOT NULL DEFAULT 'open' CHECK (state IN
		('open', 'allowed', 'denied', 'withdrawn')),
	answer TEXT,              -- JSON: message, input, permissions
	answered_by TEXT,         -- "user", "policy ...", "timeout"
	created_at INTEGER NOT NULL,
	expires_at INTEGER,       -- then on-ask decides; NULL: never
	answered_at INTEGER,
	delivered_at INTEGER      -- the agent has it
) STRICT;
CREATE INDEX ask_session ON ask (session, id);
CREATE INDEX ask_open ON ask (state) WHERE state = 'open';

-- [session] What sessions have used, by day: days since 1970 (UTC).
CREATE TABLE spent (
	day INTEGER NOT NULL,
	identity TEXT NOT NULL,   -- "": none
	session TEXT NOT NULL,    -- stays when the session is forgotten
	cost_microusd INTEGER NOT NULL,
	tokens INTEGER NOT NULL,
	PRIMARY KEY (day, identity, session)
) STRICT, WITHOUT ROWID;

-- [session] What people tell a session.
CREATE TABLE message (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
	kind TEXT NOT NULL CHECK (kind IN ('message', 'interrupt', 'stop')),
	text TEXT,
	created_at INTEGER NOT NULL,
	delivered_at INTEGER      -- NULL: it waits
) STRICT;
CREATE INDEX message_waiting ON message (session, id)
	WHERE delivered_at IS NULL;
-- [trust] Certificate authorities, the one that signs and those before it; see
-- lib/trust/ca.h.
CREATE TABLE ca (
	serial TEXT PRIMARY KEY,  -- of its certificate, hex
	name TEXT NOT NULL,
	fingerprint TEXT NOT NULL, -- SHA-256 of its certificate, hex
	pem TEXT NOT NULL,
	root TEXT,                -- PEM of the root above an intermediate
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	trusted_until INTEGER,    -- rotated out; NULL: this one signs
	crl_number INTEGER NOT NULL DEFAULT 0,
	crl_due INTEGER NOT NULL DEFAULT 0, -- not 0: trust/crl.pem is behind
	created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- [trust] One-time tokens by which agents register.
CREATE TABLE token (
	id TEXT PRIMARY KEY,      -- to name it by, no secret
	hash BLOB NOT NULL UNIQUE, -- SHA-256 of the token
	kind TEXT CHECK (kind IN ('vm', 'tart', 'proxmox')), -- NULL: any
	url TEXT NOT NULL,
	created_by TEXT,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at INTEGER,
	used_by TEXT,             -- id of the agent
	revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- [trust] Hosts that registered.
CREATE TABLE agent (
	id TEXT PRIMARY KEY,      -- agent_KIND_HOST_XXXXXXXX
	kind TEXT NOT NULL CHECK (kind IN ('vm', 'tart', 'proxmox')),
	host TEXT NOT NULL,       -- as it says
	version TEXT,
	label_sets TEXT NOT NULL DEFAULT '[]', -- JSON, lower case, sorted
	max_vms INTEGER NOT NULL DEFAULT 0,
	active INTEGER NOT NULL DEFAULT 0, -- VMs
	slots INTEGER NOT NULL DEFAULT 0, -- free ones
	address TEXT,             -- of its stream
	connected_at INTEGER,     -- NULL: it has no stream
	seen_at INTEGER,
	created_at INTEGER NOT NULL,
	revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- [trust] Certificates that were issued.
CREATE TABLE cert (
	serial TEXT PRIMARY KEY,  -- hex, lower case
	kind TEXT NOT NULL CHECK (kind IN ('agent', 'server')),
	name TEXT NOT NULL,       -- its common name
	agent TEXT REFERENCES agent (id) ON DELETE CASCADE,
	ca TEXT NOT NULL REFERENCES ca (serial),
	names TEXT,               -- of a server: JSON, sorted
	fingerprint TEXT NOT NULL,
	pem TEXT NOT NULL,
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	issued_at INTEGER NOT NULL,
	revoked_at INTEGER,
	reason TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX cert_agent ON cert (agent, issued_at);
CREATE INDEX cert_revoked ON cert (ca) WHERE revoked_at IS NOT NULL;

-- [state] What metrics count.  Rows of other tables go in the end; a counter
-- that fell would look like a restart, so triggers count here.  a and b are
-- the values of the metric's labels.
CREATE TABLE tally (
	metric TEXT NOT NULL,
	a TEXT NOT NULL,
	b TEXT NOT NULL,
	value INTEGER NOT NULL,
	PRIMARY KEY (metric, a, b)
) STRICT, WITHOUT ROWID;

-- [state] Upper bounds of the buckets of all histograms, seconds.
CREATE TABLE bucket (le REAL PRIMARY KEY) STRICT;
INSERT INTO bucket VALUES (0.05), (0.1), (0.25), (0.5), (1), (2.5), (5), (10),
	(30), (60), (120), (300), (600), (1800), (3600), (7200), (21600), (9e999);

-- [state] Observations between the bucket below and le, and their sum.
CREATE TABLE histogram (
	metric TEXT NOT NULL,
	a TEXT NOT NULL,
	b TEXT NOT NULL,
	le REAL NOT NULL,
	n INTEGER NOT NULL,
	sum REAL NOT NULL,
	PRIMARY KEY (metric, a, b, le)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER delivery_tally AFTER UPDATE OF outcome ON delivery BEGIN
	INSERT INTO tally VALUES ('forge_webhook_deliveries',
		NEW.outcome, '', 1)
	ON CONFLICT DO UPDATE SET value = value + 1;
END;

CREATE TRIGGER runner_tally AFTER UPDATE OF state ON runner
WHEN NEW.state = 'done' AND OLD.state <> 'done' BEGIN
	INSERT INTO tally VALUES ('forge_runners_ended',
		coalesce(NEW.pool, ''), coalesce(NEW.result, ''), 1)
	ON CONFLICT DO UPDATE SET value = value + 1;
END;

CREATE TRIGGER runner_boot AFTER UPDATE OF booted_at ON runner
WHEN NEW.booted_at IS NOT NULL AND OLD.booted_at IS NULL BEGIN
	INSERT INTO histogram SELECT 'forge_runner_boot_seconds',
		coalesce(NEW.pool, ''), '',
		(SELECT min(le) FROM bucket WHERE le >= took), 1, took
	FROM (SELECT (NEW.booted_at - NEW.created_at) / 1000.0 AS took)
	WHERE true ON CONFLICT DO UPDATE SET n = n + 1,
		sum = sum + excluded.sum;
END;

CREATE TRIGGER job_startup AFTER UPDATE OF started_at ON job
WHEN NEW.started_at IS NOT NULL AND OLD.started_at IS NULL
	AND NEW.queued_at IS NOT NULL BEGIN
	INSERT INTO histogram SELECT 'forge_job_startup_seconds',
		coalesce((SELECT pool FROM runner WHERE name = NEW.runner),
			''), '',
		(SELECT min(le) FROM bucket WHERE le >= took), 1, took
	FROM (SELECT max(NEW.started_at - NEW.queued_at, 0) / 1000.0 AS took)
	WHERE true ON CONFLICT DO UPDATE SET n = n + 1,
		sum = sum + excluded.sum;
END;

CREATE TRIGGER job_run AFTER UPDATE OF completed_at ON job
WHEN NEW.completed_at IS NOT NULL AND OLD.completed_at IS NULL
	AND NEW.started_at IS NOT NULL BEGIN
	INSERT INTO histogram SELECT 'forge_job_run_seconds',
		coalesce((SELECT pool FROM runner WHERE name = NEW.runner),
			''), coalesce(NEW.conclusion, ''),
		(SELECT min(le) FROM bucket WHERE le >= took), 1, took
	FROM (SELECT max(NEW.completed_at - NEW.started_at, 0) / 1000.0
		AS took)
	WHERE true ON CONFLICT DO UPDATE SET n = n + 1,
		sum = sum + excluded.sum;
END;

CREATE TRIGGER vm_tally AFTER UPDATE OF state ON vm
WHEN NEW.state IN ('stopped', 'crashed') AND OLD.state <> NEW.state BEGIN
	INSERT INTO tally VALUES ('forge_vms_ended',
		NEW.state, '', 1)
	ON CONFLICT DO UPDATE SET value = value + 1;
END;

CREATE TRIGGER vm_boot AFTER UPDATE OF ready_at ON vm
WHEN NEW.ready_at IS NOT NULL AND OLD.ready_at IS NULL BEGIN
	INSERT INTO histogram SELECT 'forge_vm_boot_seconds',
		NEW.driver, '',
		(SELECT min(le) FROM bucket WHERE le >= took), 1, took
	FROM (SELECT (NEW.ready_at - NEW.created_at) / 1000.0 AS took)
	WHERE true ON CONFLICT DO UPDATE SET n = n + 1,
		sum = sum + excluded.sum;
END;
