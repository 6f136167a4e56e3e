-- What became of a job whose life was plain (no row in progress, done by its first attempt) follows from the row of its
-- outcome. All that is kept of such a job is which one that is: 4 bytes in a row that it shares with its neighbours.
-- Rows of progress from before stay what they are.
CREATE TABLE plain_ends (
	block INTEGER PRIMARY KEY,    -- job >> 6
	events BLOB NOT NULL          -- of its 64 jobs, 4 bytes each, the high one first: event of the outcome; 0: none
);
