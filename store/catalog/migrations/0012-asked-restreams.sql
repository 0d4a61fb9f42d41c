-- A restream that somebody asked for, before its events are claimed.
ALTER TABLE millrace.restreams
  DROP CONSTRAINT restreams_state_check,
  ADD CONSTRAINT restreams_state_check CHECK (state IN ('asked', 'running', 'settled'));
-- Of a group one at a time: a second request joins the first.
CREATE UNIQUE INDEX restreams_asked ON millrace.restreams (group_id) WHERE state = 'asked';
