import { expect, test } from 'vitest';
import { newEventId } from '../../../intake/event-ids.ts';

test('ids are UUIDs of version 7, each its own, in the order they were given', () => {
  const ids = Array.from({ length: 20_000 }, () => newEventId());
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(ids.every((id) => form.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
});

test('ids stay in order when the clock is set back', () => {
  const later = newEventId(Date.now() + 5_000);
  expect(newEventId() > later).toBe(true);
});
