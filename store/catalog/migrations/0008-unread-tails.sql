-- What stands at the end of a lane and is no complete record, however long it has rested.
ALTER TABLE millrace.lanes
  ADD COLUMN unread_bytes bigint,
  ADD COLUMN unread_message text;
