import { shortPath, type FieldType, type ObservedType } from '../../core/field-types.ts';
import type { DataFailureKind } from '../../core/failures.ts';
import { observed, observedTypes } from './classify.ts';

/** How a token is written into a column of some type. */
export const writing = {
  mismatch: 0,
  outOfRange: 1,
  /** As it stands: canonical text that needs no escaping. */
  plain: 2,
  /** As text: decoded, escaped for the destination. */
  text: 3,
  /** A date into a timestamp: midnight. */
  midnight: 4,
  /** As JSON. */
  json: 5,
} as const;

export type Writing = (typeof writing)[keyof typeof writing];

/**
 * What fits into what, without loss (DESIGN §8). A type that is not listed does not fit; nothing is
 * rounded, cut or guessed.
 */
const fits: Readonly<Record<FieldType, { readonly [type in ObservedType]?: Writing }>> = {
  boolean: { boolean: writing.plain },
  int64: { int64: writing.plain, decimal: writing.outOfRange, outsized: writing.outOfRange },
  decimal: { int64: writing.plain, decimal: writing.plain, outsized: writing.outOfRange },
  date: { date: writing.plain },
  timestamp: { date: writing.midnight, timestamp: writing.plain },
  timestamptz: { timestamptz: writing.plain },
  uuid: { uuid: writing.plain },
  text: {
    boolean: writing.plain,
    int64: writing.plain,
    decimal: writing.plain,
    outsized: writing.plain,
    date: writing.text,
    timestamp: writing.text,
    timestamptz: writing.text,
    uuid: writing.text,
    text: writing.text,
  },
  json: {
    boolean: writing.json,
    int64: writing.json,
    decimal: writing.json,
    outsized: writing.json,
    date: writing.json,
    timestamp: writing.json,
    timestamptz: writing.json,
    uuid: writing.json,
    text: writing.json,
    json: writing.json,
    object: writing.json,
  },
};

/** The same as rows by column type and observed number, for the inner loop. */
export const writingsOf: Readonly<Record<FieldType, Uint8Array>> = Object.fromEntries(
  Object.entries(fits).map(([type, row]) => {
    const byNumber = Uint8Array.from(observedTypes, (name) => {
      const known: { readonly [seen in ObservedType]?: Writing } = row;
      return known[name] ?? writing.mismatch;
    });
    return [type, byNumber];
  }),
) as Record<FieldType, Uint8Array>;

export interface Misfit {
  readonly kind: DataFailureKind;
  readonly expected: FieldType;
  readonly observed: ObservedType;
  readonly message: string;
}

/** Says in words why a token does not fit. Names types, never the value. */
export function describeMisfit(path: string, expected: FieldType, seen: number): Misfit {
  const type: ObservedType = observedTypes[seen] ?? 'text';
  const tooBig = writingsOf[expected][seen] === writing.outOfRange;
  const name = seen === observed.outsized ? 'a number beyond 38 digits or 10^±38' : type;
  return {
    kind: tooBig ? 'out-of-range' : 'type-mismatch',
    expected,
    observed: type,
    message: `${shortPath(path)}: ${name} where ${expected} is expected`,
  };
}
