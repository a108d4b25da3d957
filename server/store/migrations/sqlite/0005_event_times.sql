-- The times that few events have: before the one no attempt is made, at the other none begins any more, and when payload
-- and labels were erased.
CREATE TABLE event_time (
    event INTEGER PRIMARY KEY,
    deliver_at INTEGER,
    expires INTEGER,
    expunged INTEGER
);

-- Eras: within one, events' `created` never falls as their keys rise, so that a time is found by binary search over the
-- keys. One begins with the first event that is published after the clock was set back; before the first is an era too.
CREATE TABLE event_era (
    first INTEGER PRIMARY KEY
);
INSERT INTO event_era
SELECT key FROM (SELECT key, created, lag(created) OVER (ORDER BY key) AS before FROM event) AS e WHERE created < before;
