-- Which of a slot's services were exclusive as they were started; NULL: recorded by an older daemon.
ALTER TABLE slots ADD COLUMN exclusive TEXT CHECK (exclusive IS NULL OR json_valid(exclusive));
