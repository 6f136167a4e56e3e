-- The first schema. Released files are never changed: what comes later is a file of its own.
--
-- Identifiers carry their batch: a job is (batch << 32 | seq), an outcome is (batch << 32 | event), both counting from 1.
-- So the jobs and the outcomes of a batch lie side by side, in order; results, events and removal are scans of a range,
-- and neither needs an index or a column for its batch. Times are wall microseconds. States, reasons and causes are the
-- numbers of lib/reason.h. `running` is never stored as a state: such a job is queued and has a row in `running`.
--
-- What is asked for (jobs) is written once and never changed; what became of it (progress) has no row at all until
-- something happens. A job's plain life is therefore four inserts and one delete, no update: an update that makes a row
-- longer splits pages that were filled to the brim when the jobs came in.

CREATE TABLE counters (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE batches (
	id INTEGER PRIMARY KEY,
	uid INTEGER NOT NULL,
	name TEXT NOT NULL,
	key TEXT,
	priority INTEGER NOT NULL,
	concurrency INTEGER NOT NULL,
	held INTEGER NOT NULL,
	closed INTEGER NOT NULL,
	paused INTEGER NOT NULL,
	sweep INTEGER NOT NULL,       -- enum store_sweep
	sweep_seq INTEGER NOT NULL,   -- how far it has come
	sweep_reason INTEGER NOT NULL, -- what its jobs fail with; what leaves them out of a retry
	sweep_error TEXT,
	submitted_us INTEGER NOT NULL,
	touched_us INTEGER NOT NULL,
	ended_us INTEGER,
	next_seq INTEGER NOT NULL,
	next_event INTEGER NOT NULL,
	n_blocked INTEGER NOT NULL,
	n_queued INTEGER NOT NULL,    -- running ones too
	n_done INTEGER NOT NULL,
	n_failed INTEGER NOT NULL,
	n_cancelled INTEGER NOT NULL,
	body_bytes INTEGER NOT NULL   -- in files
);
CREATE UNIQUE INDEX batches_key ON batches (uid, key) WHERE key IS NOT NULL;
CREATE INDEX batches_uid ON batches (uid);
CREATE INDEX batches_live ON batches (id) WHERE ended_us IS NULL;
CREATE INDEX batches_ended ON batches (ended_us) WHERE ended_us IS NOT NULL;
CREATE INDEX batches_open ON batches (touched_us) WHERE closed = 0;
CREATE INDEX batches_sweep ON batches (id) WHERE sweep <> 0;

-- Apart from `batches`, whose rows are rewritten at every commit: a template may hold a body.
CREATE TABLE templates (
	batch INTEGER PRIMARY KEY,
	options TEXT NOT NULL
);

CREATE TABLE lanes (
	id INTEGER PRIMARY KEY,
	batch INTEGER NOT NULL,
	key TEXT NOT NULL,
	head INTEGER NOT NULL
);
CREATE UNIQUE INDEX lanes_key ON lanes (batch, key);
CREATE INDEX lanes_host ON lanes (key, batch);

CREATE TABLE chains (
	id INTEGER PRIMARY KEY,
	batch INTEGER NOT NULL,
	name TEXT NOT NULL,
	pending INTEGER NOT NULL,     -- jobs that have not ended
	failed INTEGER NOT NULL,      -- the first job that failed; 0: none
	rest INTEGER NOT NULL         -- jobs behind it are still to be failed
);
CREATE UNIQUE INDEX chains_name ON chains (batch, name);
CREATE INDEX chains_rest ON chains (id) WHERE rest;

-- `body` is last: what stands behind a long value is slow to reach.
CREATE TABLE jobs (
	id INTEGER PRIMARY KEY,
	lane INTEGER NOT NULL,
	chain INTEGER,
	submitted_us INTEGER NOT NULL,
	url TEXT NOT NULL,
	method TEXT,
	tag TEXT,
	user TEXT,
	options TEXT,
	headers TEXT,
	body BLOB
);
CREATE INDEX jobs_lane ON jobs (lane);

-- No row: queued, never started, never put off.
CREATE TABLE progress (
	job INTEGER PRIMARY KEY,
	state INTEGER NOT NULL,
	reason INTEGER NOT NULL,
	lane INTEGER NOT NULL,        -- the job's own, unless a redirect led to another host
	hops INTEGER NOT NULL,        -- redirects followed; then `targets` has a row
	tries INTEGER NOT NULL,
	deaths INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	outcome INTEGER NOT NULL,     -- event of its last row in outcomes; 0: none
	started_us INTEGER NOT NULL,  -- its first attempt; 0: none
	due_us INTEGER,               -- put off until then; opening its attempt clears it
	waits INTEGER                 -- the chain, while it is blocked
);
CREATE INDEX progress_due ON progress (lane, due_us) WHERE due_us IS NOT NULL;
CREATE INDEX progress_waits ON progress (waits) WHERE waits IS NOT NULL;

-- Where redirects have led a job.
CREATE TABLE targets (
	job INTEGER PRIMARY KEY,
	url TEXT NOT NULL,
	as_get INTEGER NOT NULL,
	stripped INTEGER NOT NULL,
	from_public INTEGER NOT NULL  -- a server at a public address led there
);

-- Boots of the machine: times on CLOCK_BOOTTIME can be compared within one.
CREATE TABLE boots (
	id INTEGER PRIMARY KEY,
	boot TEXT NOT NULL UNIQUE,    -- the kernel's boot_id
	last_us INTEGER NOT NULL      -- the latest time that was noted in it
);

-- Rules that an operator set.
CREATE TABLE limits (
	name TEXT PRIMARY KEY,
	match TEXT NOT NULL,
	rates TEXT NOT NULL,
	concurrency INTEGER NOT NULL,
	pace INTEGER NOT NULL
) WITHOUT ROWID;

-- Hosts that are paused or told a rate. Times on CLOCK_BOOTTIME; 0: not.
CREATE TABLE hosts (
	host TEXT PRIMARY KEY,
	boot INTEGER NOT NULL,
	hits INTEGER NOT NULL,        -- refusals in a row
	paused_until_us INTEGER NOT NULL,
	learned_count INTEGER NOT NULL,
	learned_window_us INTEGER NOT NULL,
	learned_until_us INTEGER NOT NULL
) WITHOUT ROWID;

-- Attempts that are open. Small, and what recovery reads.
CREATE TABLE running (
	job INTEGER PRIMARY KEY,
	n INTEGER NOT NULL,
	granted_us INTEGER NOT NULL,
	ready_us INTEGER NOT NULL,
	boot INTEGER NOT NULL,
	granted_boot_us INTEGER NOT NULL
);

-- Ended attempts, and ends without one. Appended, never changed.
CREATE TABLE outcomes (
	id INTEGER PRIMARY KEY,
	seq INTEGER NOT NULL,         -- of the job
	n INTEGER NOT NULL,           -- the attempt; 0: the job ended without a request
	prev INTEGER NOT NULL,        -- event of the same job's row before this; 0: none
	state INTEGER NOT NULL,       -- the job's from then on: queued means another attempt
	reason INTEGER NOT NULL,
	cause INTEGER NOT NULL,
	status INTEGER NOT NULL,
	http_version INTEGER NOT NULL,
	lane INTEGER NOT NULL,
	started_us INTEGER NOT NULL,
	first_byte_us INTEGER NOT NULL,
	ended_us INTEGER NOT NULL,
	queued_us INTEGER NOT NULL,
	limited_us INTEGER NOT NULL,
	dns_us INTEGER NOT NULL,
	connect_us INTEGER NOT NULL,
	tls_us INTEGER NOT NULL,
	send_us INTEGER NOT NULL,
	wait_us INTEGER NOT NULL,
	receive_us INTEGER NOT NULL,
	total_us INTEGER NOT NULL,
	size_bytes INTEGER NOT NULL,
	wire_bytes INTEGER NOT NULL,
	body_in_file INTEGER NOT NULL,
	boot INTEGER,                 -- of the two times below; NULL: nothing was sent
	sent_boot_us INTEGER,
	counted_boot_us INTEGER,      -- the latest at which the server can have counted it
	url TEXT,                     -- what was asked for, where that was not the job's
	method TEXT,
	content_type TEXT,
	remote_ip TEXT,
	error TEXT,
	final_error TEXT,             -- the last word on the job, where it says more than the attempt's
	headers TEXT,
	body BLOB
);
-- What limits are to remember after a restart, and what audits read.
CREATE INDEX outcomes_counted ON outcomes (boot, counted_boot_us) WHERE boot IS NOT NULL;
