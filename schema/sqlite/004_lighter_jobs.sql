-- Fewer rows a job: what was a row or an entry of an index for each job is a row for many of them.

-- Which jobs are in a lane: runs of numbers. A few of other lanes may lie within one (STORE_SPAN_GAP).
CREATE TABLE spans (
	lane INTEGER NOT NULL,
	first INTEGER NOT NULL,       -- job
	last INTEGER NOT NULL,
	PRIMARY KEY (lane, first)
) WITHOUT ROWID;
INSERT INTO spans SELECT lane, min(id), max(id)
	FROM (SELECT lane, id, id - row_number() OVER (PARTITION BY lane ORDER BY id) AS run FROM jobs)
	GROUP BY lane, run;
DROP INDEX jobs_lane;

-- Attempts that were opened by one transaction. The row stays while one of them is open; an attempt is over when its
-- job's progress counts it.
CREATE TABLE openings (
	id INTEGER PRIMARY KEY,
	boot INTEGER NOT NULL,
	attempts TEXT NOT NULL        -- JSON: [[job,n,granted_us,ready_us,granted_boot_us],...]
);
INSERT INTO openings (boot, attempts)
	SELECT boot, json_group_array(json_array(job, n, granted_us, ready_us, granted_boot_us)) FROM running GROUP BY boot;
DROP TABLE running;

-- When outcomes were counted: this one and those behind it, up to the next row's of the batch, at or before then.
CREATE TABLE counted (
	outcome INTEGER PRIMARY KEY,
	boot INTEGER NOT NULL,
	until_boot_us INTEGER NOT NULL
);
CREATE INDEX counted_until ON counted (boot, until_boot_us);
INSERT INTO counted SELECT min(id), boot, max(counted_boot_us) FROM outcomes WHERE boot IS NOT NULL
	GROUP BY id >> 14, boot;
DROP INDEX outcomes_counted;
