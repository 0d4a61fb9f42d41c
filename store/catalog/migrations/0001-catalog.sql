-- The catalog: what Millrace plans, knows and keeps. Temporal carries it out, this is the truth.

CREATE TABLE millrace.installation (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO millrace.installation DEFAULT VALUES;

-- Applied configurations; the newest counts. The document may hold passwords: it is encrypted.
CREATE TABLE millrace.configurations (
  version integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document bytea NOT NULL,
  config_dir text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  applied_by text NOT NULL
);

-- Health of destinations: `away` after a while of `failing`, so that deliveries wait as rows.
CREATE TABLE millrace.destinations (
  destination text PRIMARY KEY,
  state text NOT NULL DEFAULT 'ok' CHECK (state IN ('ok', 'failing', 'away')),
  failing_since timestamptz,
  kind text,
  message text
);

CREATE TABLE millrace.lanes (
  source text NOT NULL,
  lane text NOT NULL,
  stream text,
  head text NOT NULL,
  memo text NOT NULL DEFAULT '',
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'stopped', 'paused')),
  stop_kind text,
  stop_message text,
  fruitless integer NOT NULL DEFAULT 0, -- batches in a row from which nothing loaded anywhere
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (source, lane)
);

CREATE TABLE millrace.batches (
  batch_id text PRIMARY KEY,
  plan_order bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  run text NOT NULL DEFAULT 'live',
  source text NOT NULL,
  lane text NOT NULL,
  stream text, -- where the lane has just one
  from_position text NOT NULL,
  to_position text NOT NULL,
  whole boolean NOT NULL DEFAULT false, -- a full refresh: the newest one replaces those before
  memo text NOT NULL DEFAULT '', -- the connector's note on the lane, as it stood with this plan
  planned_bytes bigint NOT NULL DEFAULT 0,
  state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'extracted', 'settled', 'lost')),
  events bigint,
  bytes bigint,
  planned_at timestamptz NOT NULL DEFAULT now(),
  settled_at timestamptz,
  UNIQUE (run, source, lane, from_position)
);
CREATE INDEX batches_open ON millrace.batches (source, plan_order) WHERE state IN ('planned', 'extracted');
CREATE INDEX batches_newest ON millrace.batches (plan_order DESC);
CREATE INDEX batches_settled ON millrace.batches (settled_at) WHERE state IN ('settled', 'lost');

-- One row for each destination of a batch, written with the plan.
CREATE TABLE millrace.deliveries (
  batch_id text NOT NULL REFERENCES millrace.batches ON DELETE CASCADE,
  destination text NOT NULL,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'waiting', 'stopped', 'settled', 'lost')),
  pins jsonb, -- {stream: mapping version}, set once by schema-sync
  stop_kind text,
  stop_message text,
  rows_loaded bigint NOT NULL DEFAULT 0,
  rows_duplicate bigint NOT NULL DEFAULT 0,
  rows_superseded bigint NOT NULL DEFAULT 0,
  rows_failed bigint NOT NULL DEFAULT 0,
  rows_discarded bigint NOT NULL DEFAULT 0,
  tables jsonb NOT NULL DEFAULT '{}', -- rows by table, as in the ledger
  settled_at timestamptz,
  PRIMARY KEY (batch_id, destination)
);
CREATE INDEX deliveries_open ON millrace.deliveries (destination, state) WHERE state IN ('pending', 'waiting', 'stopped');

-- Manifests. The first complete extract of a batch is inserted once; that insert decides.
CREATE TABLE millrace.extracts (
  batch_id text NOT NULL REFERENCES millrace.batches ON DELETE CASCADE,
  generation integer NOT NULL DEFAULT 1,
  attempt text NOT NULL,
  staging_key text NOT NULL, -- the folder of the batch in staging
  staged_name text NOT NULL,
  staged_bytes bigint NOT NULL,
  sha256 text NOT NULL,
  events bigint NOT NULL,
  event_bytes bigint NOT NULL,
  profile jsonb NOT NULL,   -- StreamProfile[]: counts and types, no values
  premapped jsonb NOT NULL DEFAULT '[]', -- load files made while extracting, by destination
  created_at timestamptz NOT NULL DEFAULT now(),
  removed_at timestamptz,   -- the staged files are gone (retention)
  PRIMARY KEY (batch_id, generation)
);
CREATE INDEX extracts_key ON millrace.extracts (staging_key);

CREATE TABLE millrace.mappings (
  source text NOT NULL,
  stream text NOT NULL,
  destination text NOT NULL,
  version integer NOT NULL,
  document jsonb NOT NULL,
  reason text NOT NULL,
  author text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (source, stream, destination, version)
);

CREATE TABLE millrace.ddl_log (
  ddl_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  destination text NOT NULL,
  source text NOT NULL,
  stream text NOT NULL,
  mapping_version integer NOT NULL,
  statement text NOT NULL,
  batch_id text,
  applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE millrace.failure_groups (
  group_id text PRIMARY KEY, -- the first 20 hex digits of the fingerprint
  fingerprint text NOT NULL UNIQUE,
  fingerprint_version integer NOT NULL,
  title text NOT NULL,
  source text NOT NULL,
  stream text NOT NULL,
  destination text NOT NULL,
  stage text NOT NULL,
  kind text NOT NULL,
  field text,
  expected text,
  observed text,
  sql_state text,
  state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'ongoing', 'resolved', 'regressed', 'discarded')),
  open_count bigint NOT NULL DEFAULT 0,
  restreaming_count bigint NOT NULL DEFAULT 0,
  total_count bigint NOT NULL DEFAULT 0,
  first_failed_at timestamptz NOT NULL DEFAULT now(),
  last_failed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX failure_groups_open ON millrace.failure_groups (open_count DESC) WHERE open_count + restreaming_count > 0;

CREATE TABLE millrace.restreams (
  restream_id text PRIMARY KEY,
  group_id text NOT NULL REFERENCES millrace.failure_groups,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'settled')),
  event_count bigint NOT NULL,
  requested_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  settled_at timestamptz
);
CREATE INDEX restreams_running ON millrace.restreams (created_at) WHERE state = 'running';

-- Failed events in every state, provisional ones included. Readers use the view below.
CREATE TABLE millrace.failure_records (
  record_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batch_id text NOT NULL,
  destination text NOT NULL,
  ordinal bigint NOT NULL,
  child integer NOT NULL DEFAULT 0,
  attempt text NOT NULL, -- the map or load attempt that wrote it; the ledger names the winners
  source text NOT NULL,
  lane text NOT NULL,
  stream text NOT NULL,
  event_id text NOT NULL,
  stage text NOT NULL,
  kind text NOT NULL,
  field text,
  expected text,
  observed text,
  message text NOT NULL,
  sql_state text,
  mapping_version integer,
  raw bytea NOT NULL,
  raw_sha256 text NOT NULL,
  context jsonb NOT NULL,
  line_number bigint,
  version text NOT NULL, -- decides in merge tables; a restreamed event keeps its own
  state text NOT NULL DEFAULT 'provisional'
    CHECK (state IN ('provisional', 'open', 'restreaming', 'resolved', 'discarded')),
  group_id text,
  restream_id text,          -- the restream that holds it now, or held it last
  restream_ordinal bigint,   -- its place in that restream
  attempts integer NOT NULL DEFAULT 1,
  first_failed_at timestamptz NOT NULL DEFAULT now(),
  last_failed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (batch_id, destination, ordinal, child, attempt)
);
CREATE INDEX failure_records_group ON millrace.failure_records (group_id, state, record_id);
CREATE INDEX failure_records_restream ON millrace.failure_records (restream_id, restream_ordinal) WHERE restream_id IS NOT NULL;

-- Failures of events that had arrived before, as a load attempt found: settling takes them back.
CREATE TABLE millrace.resent_failures (
  batch_id text NOT NULL REFERENCES millrace.batches ON DELETE CASCADE,
  destination text NOT NULL,
  attempt text NOT NULL, -- of the load
  ordinal bigint NOT NULL,
  PRIMARY KEY (batch_id, destination, attempt, ordinal)
);

CREATE VIEW millrace.failed_events AS
  SELECT source, stream, event_id, batch_id, ordinal, destination, stage, kind, field, message,
         raw, raw_sha256, attempts, state, first_failed_at, last_failed_at,
         record_id, group_id, lane, child, expected, observed, sql_state, line_number, mapping_version
    FROM millrace.failure_records
   WHERE state <> 'provisional';

-- Audit: who decided what. No values.
CREATE TABLE millrace.decisions (
  decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  made_at timestamptz NOT NULL DEFAULT now(),
  author text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE millrace.settings (
  name text PRIMARY KEY,
  value jsonb NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);

-- Syncs that somebody asked for and whose last plan was not yet empty: survives a lost Temporal.
CREATE TABLE millrace.wanted_syncs (
  source text PRIMARY KEY,
  requested_at timestamptz NOT NULL DEFAULT now()
);
