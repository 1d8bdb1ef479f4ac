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

-- [vm] Bootable images; the files are image/NAME/.
CREATE TABLE image (
	name TEXT PRIMARY KEY,
	state TEXT NOT NULL CHECK (state IN ('building', 'ready')),
	base TEXT NOT NULL,
	digest TEXT,
	size INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- [vm] One row per VM that exists; the lock run/vm/NAME says whether a
-- supervisor lives.
CREATE TABLE vm (
	name TEXT PRIMARY KEY,
	state TEXT NOT NULL CHECK (state IN
		('starting', 'running', 'stopping', 'stopped', 'crashed')),
	image TEXT NOT NULL,
	driver TEXT NOT NULL,
	net TEXT NOT NULL,
	cpus INTEGER NOT NULL,
	memory_mb INTEGER NOT NULL,
	mac TEXT,
	supervisor TEXT,          -- identity of the process, see proc.h
	hypervisor TEXT,          -- likewise
	keep INTEGER NOT NULL DEFAULT 0, -- 1: stays as a row when it ends
	status INTEGER,           -- exit status it ended with
	reason TEXT,              -- why it ended, one line
	created_at INTEGER NOT NULL,
	ready_at INTEGER,
	ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX vm_live ON vm (state) WHERE state IN
	('starting', 'running', 'stopping');

-- [vm] Addresses in use.  A lease without a VM belongs to a person or script
-- (`forge-vm lease take`).
CREATE TABLE lease (
	address INTEGER PRIMARY KEY, -- IPv4 as a number
	holder TEXT NOT NULL UNIQUE,
	vm TEXT UNIQUE REFERENCES vm (name) ON DELETE CASCADE,
	taken_at INTEGER NOT NULL
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
	updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX job_open ON job (state) WHERE state <> 'completed';
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
		'done')),
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
CREATE INDEX runner_done ON runner (pool, done_at) WHERE state = 'done';

-- [runner] Conditional requests: what GitHub answered last.
CREATE TABLE etag (
	url TEXT PRIMARY KEY,
	tag TEXT NOT NULL,
	body TEXT NOT NULL,
	at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
