-- What a source has lost for good, and a person gave up: it counts no more as lost.
ALTER TABLE millrace.deliveries DROP CONSTRAINT deliveries_state_check;
ALTER TABLE millrace.deliveries ADD CONSTRAINT deliveries_state_check
  CHECK (state IN ('pending', 'waiting', 'stopped', 'settled', 'lost', 'discarded'));
