-- Pulls: runs are batches, pages are jobs of them, and states are what is kept between runs. Rows of runs and pages go
-- with their batch; states stay. Numbers in `state` and `verdict` are those of daemon/store_pull.h.

CREATE TABLE runs (
	batch INTEGER PRIMARY KEY,
	uid INTEGER NOT NULL,
	state INTEGER NOT NULL,
	verdict INTEGER NOT NULL,
	apart INTEGER NOT NULL,       -- a test: neither meets nor is met by others
	conditional INTEGER NOT NULL, -- it may have a base
	base INTEGER NOT NULL,        -- the run whose pages it may have again; 0: none
	cancelled INTEGER NOT NULL,   -- by the owner's word or by its deadline, before its end
	created_us INTEGER NOT NULL,
	started_us INTEGER NOT NULL,  -- 0: not yet
	ended_us INTEGER NOT NULL,
	pull TEXT NOT NULL,
	scope TEXT NOT NULL,
	options TEXT NOT NULL,
	guard TEXT,                   -- why it has to fail
	error TEXT,                   -- what its batch was failed with
	receipt TEXT,
	recipe TEXT NOT NULL
);
CREATE INDEX runs_live ON runs (batch) WHERE state <> 2;
CREATE INDEX runs_uid ON runs (uid);
CREATE INDEX runs_pull ON runs (pull);
CREATE INDEX runs_uid_pull ON runs (uid, pull);

-- What was said of a page is NULL until it has ended (said: 0). `keys` is last: it may be a mebibyte.
CREATE TABLE pages (
	job INTEGER PRIMARY KEY,
	from_public INTEGER NOT NULL, -- a server at a public address supplied its URL
	past_end INTEGER NOT NULL,
	said INTEGER NOT NULL,
	reused_from INTEGER NOT NULL, -- the job whose body it has again; 0: its own
	items INTEGER,
	next_is_url INTEGER,
	has_more INTEGER,
	stop INTEGER,
	total_pages INTEGER,
	total_items INTEGER,
	hash_1 INTEGER,
	hash_2 INTEGER,
	token TEXT NOT NULL,
	next TEXT,
	since TEXT,
	etag TEXT,
	last_modified TEXT,
	keys BLOB
);
-- A page is asked for once in a run, whatever happens. The run is the upper half of the job's number.
CREATE UNIQUE INDEX pages_token ON pages (job >> 32, token);

CREATE TABLE pull_states (
	uid INTEGER NOT NULL,
	pull TEXT NOT NULL,
	scope TEXT NOT NULL,
	since TEXT,                   -- JSON
	run INTEGER NOT NULL,         -- the last complete one; it may be gone. 0: none
	items INTEGER NOT NULL,       -- of that run; -1: not known
	updated_us INTEGER NOT NULL,
	PRIMARY KEY (uid, pull, scope)
) WITHOUT ROWID;
