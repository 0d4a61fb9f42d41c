-- Sources that stand still until `recover`: catalog and warehouse are of different moments.
CREATE TABLE millrace.source_holds (
  source text PRIMARY KEY,
  kind text NOT NULL,
  message text NOT NULL,
  held_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deliveries_settled ON millrace.deliveries (destination, settled_at DESC, batch_id)
  WHERE state = 'settled';
