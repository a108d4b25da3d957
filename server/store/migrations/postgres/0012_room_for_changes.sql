-- A delivery's row is written anew when its attempt ends, mostly by a turn that does so for the whole page. With room for
-- all of them there the indexes need no new entries.
ALTER TABLE delivery SET (fillfactor = 50);

-- A row of the log is read again within moments, if at all: not worth compressing.
ALTER TABLE log SET (toast_tuple_target = 8160);
