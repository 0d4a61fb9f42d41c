-- The intake: what sources that cannot be read again have sent, and who may send.

CREATE TABLE millrace.intakes (
  source text PRIMARY KEY,
  last_chunk bigint NOT NULL,
  stored_bytes bigint NOT NULL, -- of the chunks that are still there
  resume text                   -- where a stream goes on, stored with the events before it
);

-- Append only. A number is given under the lock of the row above, held until COMMIT: numbers have
-- no gaps and appear in their order.
CREATE TABLE millrace.intake_chunks (
  source text NOT NULL,
  chunk bigint NOT NULL,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  events integer NOT NULL,
  bytes integer NOT NULL,
  content bytea NOT NULL, -- frames
  PRIMARY KEY (source, chunk)
);
ALTER TABLE millrace.intake_chunks ALTER COLUMN content SET STORAGE EXTERNAL;

-- Bodies that cannot be parsed are kept once, however often they are sent.
CREATE TABLE millrace.unparsed_bodies (
  source text NOT NULL,
  sha256 text NOT NULL,
  event_id text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (source, sha256)
);
CREATE INDEX unparsed_bodies_received ON millrace.unparsed_bodies (received_at);

CREATE TABLE millrace.source_tokens (
  token_id text PRIMARY KEY,
  source text NOT NULL,
  sha256 text NOT NULL UNIQUE, -- of the token, which nobody keeps
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX source_tokens_source ON millrace.source_tokens (source);
