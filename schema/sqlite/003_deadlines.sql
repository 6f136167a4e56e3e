-- What a batch's deadline counts from, where that is not its submission: the begin of a run that waited for another, or
-- the owner's retry of what had ended. Wall microseconds; 0: the submission.
ALTER TABLE batches ADD COLUMN deadline_from_us INTEGER NOT NULL DEFAULT 0;
