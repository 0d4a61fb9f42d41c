import { defineSearchAttributeKey } from '@temporalio/common';

/** Search attributes an engineer can find work by, in the Web UI and the CLI. Never values. */
export const searchAttributes = {
  source: defineSearchAttributeKey('MillraceSource', 'KEYWORD'),
  stream: defineSearchAttributeKey('MillraceStream', 'KEYWORD'),
  batch: defineSearchAttributeKey('MillraceBatch', 'KEYWORD'),
  destination: defineSearchAttributeKey('MillraceDestination', 'KEYWORD'),
  review: defineSearchAttributeKey('MillraceReview', 'KEYWORD'),
  failure: defineSearchAttributeKey('MillraceFailure', 'KEYWORD'),
  run: defineSearchAttributeKey('MillraceRun', 'KEYWORD'),
  parked: defineSearchAttributeKey('MillraceParked', 'INT'),
} as const;

const longestKeyword = 250;

/** Servers on SQL hold 255 characters; a longer name would keep the whole run out of the lists. */
export function toKeyword(text: string): string {
  return text.length <= longestKeyword ? text : `${text.slice(0, longestKeyword - 1)}…`;
}

export const searchAttributeTypes = {
  MillraceSource: 'Keyword',
  MillraceStream: 'Keyword',
  MillraceBatch: 'Keyword',
  MillraceDestination: 'Keyword',
  MillraceReview: 'Keyword',
  MillraceFailure: 'Keyword',
  MillraceRun: 'Keyword',
  MillraceParked: 'Int',
} as const;
