-- Which road a batch takes into its destination: chosen once, before it is read; null: not yet.
ALTER TABLE millrace.batches ADD COLUMN road text CHECK (road IN ('staged', 'typed'));
