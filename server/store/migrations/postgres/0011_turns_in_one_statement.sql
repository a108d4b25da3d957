-- Ends a turn that is one statement, and with it a transaction by itself: appends its row to the log, if it has one, and
-- returns the row's number. Called once all other parts of the statement have been run. `TD003`: not all that was taken
-- for settled was.
CREATE FUNCTION end_turn(incarnation BIGINT, expected_cfg BIGINT, now BIGINT, mark BIGINT, body BYTEA,
                         settled BIGINT, expected_settled BIGINT)
RETURNS BIGINT LANGUAGE plpgsql AS $$
BEGIN
    IF settled <> expected_settled THEN
        RAISE EXCEPTION '% attempts were to settle, not %', expected_settled, settled USING ERRCODE = 'TD003';
    END IF;
    IF body IS NULL THEN
        PERFORM pass_gate(incarnation, expected_cfg);
        RETURN NULL;
    END IF;
    RETURN append_log(incarnation, expected_cfg, now, mark, body);
END
$$;
