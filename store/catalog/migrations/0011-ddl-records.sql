-- A change of a table is recorded before it is durable there, and is in the audit once it is.
ALTER TABLE millrace.ddl_log RENAME TO ddl_records;
ALTER TABLE millrace.ddl_records
  ADD COLUMN state text NOT NULL DEFAULT 'applied' CHECK (state IN ('planned', 'applied', 'abandoned')),
  ADD COLUMN change_id text NOT NULL DEFAULT '', -- of its transaction in the destination; '' before there were any
  ADD COLUMN table_schema text NOT NULL DEFAULT '',
  ADD COLUMN table_name text NOT NULL DEFAULT '',
  ADD COLUMN planned_at timestamptz NOT NULL DEFAULT now(),
  ALTER COLUMN applied_at DROP NOT NULL,
  ALTER COLUMN applied_at DROP DEFAULT;
CREATE INDEX ddl_records_planned ON millrace.ddl_records (destination) WHERE state = 'planned';
CREATE INDEX ddl_records_change ON millrace.ddl_records (change_id) WHERE change_id <> '';

-- For readers: only what is done.
CREATE VIEW millrace.ddl_log AS
  SELECT ddl_id, destination, source, stream, mapping_version, statement, batch_id, applied_at
    FROM millrace.ddl_records WHERE state = 'applied';
