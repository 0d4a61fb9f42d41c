import type { FieldType } from '../../core/field-types.ts';

/** Names as `format_type` gives them. */
const columnTypes: Readonly<Record<FieldType, string>> = {
  boolean: 'boolean',
  int64: 'bigint',
  decimal: 'numeric',
  date: 'date',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  uuid: 'uuid',
  text: 'text',
  json: 'jsonb',
};

export function toColumnType(type: FieldType): string {
  return columnTypes[type];
}

/**
 * What a value must look like as text to become another type by a person's order: the forms that
 * events of that type have. PostgreSQL's own casts would cut times, drop zones and read "today".
 */
const forms: { readonly [type in FieldType]?: string } = {
  boolean: '^(true|false)$',
  int64: '^(0|-?[1-9]\\d*)$',
  decimal: '^-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?$',
  date: '^\\d{4}-\\d\\d-\\d\\d( 00:00:00)?$',
  timestamp: '^\\d{4}-\\d\\d-\\d\\d([T ]\\d\\d:\\d\\d(:\\d\\d(\\.\\d{1,6})?)?)?$',
  timestamptz:
    '^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(:\\d\\d(\\.\\d{1,6})?)?(Z|[+-]\\d\\d(:?\\d\\d)?)$',
  uuid: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
};

/** Expression that turns a column into another type; the statement fails where a value would change. */
export function toConversion(column: string, standing: string, type: FieldType): string {
  const wanted = toColumnType(type);
  if (isWidening(standing, wanted)) return `${column}::${wanted}`;
  if (type === 'json') return `to_jsonb(${column})`;
  const text = standing === 'jsonb' ? `(${column} #>> '{}')` : `${column}::text`;
  const form = forms[type];
  if (form === undefined) return text;
  return `(CASE WHEN ${text} ~ '${form}' OR ${column} IS NULL THEN ${text} ELSE '?' END)::${wanted}`;
}

/** From narrow to wide: PostgreSQL converts each into the ones behind it without loss. */
const families = [
  ['smallint', 'integer', 'bigint', 'numeric'],
  ['date', 'timestamp without time zone'],
];

/** Whether a column of type `from` may become `to` and keep every value. */
export function isWidening(from: string, to: string): boolean {
  return families.some((family) => {
    const [narrow, wide] = [family.indexOf(from), family.indexOf(to)];
    return narrow >= 0 && wide > narrow;
  });
}

/** `numeric(p,s)`, `timestamp(p) without time zone`, `character varying(n)` and their bare forms. */
const typeForm = /^([a-z]+(?: varying)?)(?:\((\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?$/;
/** Digits of a second that mapped values may have. */
const fractionDigits = 6;
/** They hold any text as it is, or refuse it. */
const textTypes = new Set(['text', 'character varying', 'citext']);

/** Besides text; by the bare name of the column's type. */
const takers: { readonly [type in FieldType]: readonly string[] } = {
  boolean: ['boolean'],
  int64: ['bigint', 'integer', 'smallint', 'numeric'],
  decimal: ['numeric'],
  date: ['date', 'timestamp without time zone'],
  timestamp: ['timestamp without time zone'],
  timestamptz: ['timestamp with time zone'],
  uuid: ['uuid'],
  text: ['enum'],
  json: ['jsonb', 'json'],
};

/**
 * Whether a column, however it came to its type, takes the text that was mapped for another one as
 * the same value, or refuses it so that it is parked. COPY asks nobody: a bigint takes '013' as 13,
 * a date 'today', a numeric(10,2) rounds, a timestamp drops the zone.
 */
export function takesUnchanged(type: FieldType, standing: string): boolean {
  if (standing === 'public.citext') return true;
  const form = typeForm.exec(standing);
  const [, name = '', , , zone = ''] = form ?? [];
  if (textTypes.has(name)) return true;
  return takers[type].includes(name + zone) && (!form?.[2] || isWideEnough(type, form));
}

/** Whether a column that `takesUnchanged` also makes the same of a value whatever form it is written in. */
export function takesAnyForm(type: FieldType, standing: string): boolean {
  const name = typeForm.exec(standing)?.[1] ?? '';
  return type === 'text' || !(standing === 'public.citext' || textTypes.has(name));
}

/** Of types with a precision: numeric rounds what has more digits behind the point, times too. */
function isWideEnough(
  type: FieldType,
  [, name, precision, scale = '0']: readonly string[],
): boolean {
  if (name === 'numeric') return type === 'int64' && Number(scale) >= 0;
  return Number(precision) >= fractionDigits;
}
