-- Ends a turn that is one statement, and with it a transaction by itself: appends its row to the log, if it has one, and
-- returns the row's number. Called once all other parts of the statement have been run. `TD003`: not all rows that they
-- were to write are written.
CREATE FUNCTION end_turn(incarnation BIGINT, expected_cfg BIGINT, now BIGINT, mark BIGINT, body BYTEA,
                         written BIGINT, expected BIGINT)
RETURNS BIGINT LANGUAGE plpgsql AS $$
BEGIN
    IF written <> expected THEN
        RAISE EXCEPTION '% rows were to be written, not %', expected, written USING ERRCODE = 'TD003';
    END IF;
    IF body IS NULL THEN
        PERFORM pass_gate(incarnation, expected_cfg);
        RETURN NULL;
    END IF;
    RETURN append_log(incarnation, expected_cfg, now, mark, body);
END
$$;
