-- Sources whose pipeline a person paused: nothing new of them is planned.
CREATE TABLE millrace.paused_sources (
  source text PRIMARY KEY,
  pipeline text NOT NULL,
  paused_at timestamptz NOT NULL DEFAULT now(),
  paused_by text NOT NULL
);
