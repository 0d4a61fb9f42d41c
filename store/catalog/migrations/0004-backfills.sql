-- Requests to read again what was read before. Their batches have the run `backfill/<request_id>`.
CREATE TABLE millrace.backfills (
  request_id text PRIMARY KEY,
  source text NOT NULL,
  stream text, -- null: every stream
  lane text,   -- null: every lane
  from_asked text,
  to_asked text,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'settled')),
  paused boolean NOT NULL DEFAULT false,
  concurrency integer NOT NULL,
  requested_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  settled_at timestamptz
);
CREATE INDEX backfills_running ON millrace.backfills (created_at) WHERE state = 'running';

-- A backfill asks which of its events have a record already.
CREATE INDEX failure_records_event ON millrace.failure_records (source, destination, event_id);
