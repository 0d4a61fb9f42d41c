import type { ObservedType } from '../../core/field-types.ts';
import { token } from '../../formats/record-tape.ts';

/** Observed types by number, so that counting them costs an array access. */
export const observedTypes = [
  'null',
  'boolean',
  'int64',
  'decimal',
  'outsized',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
  'text',
  'json',
  'object',
] as const satisfies readonly ObservedType[];

export const observed = {
  null: 0,
  boolean: 1,
  int64: 2,
  decimal: 3,
  outsized: 4,
  date: 5,
  timestamp: 6,
  timestamptz: 7,
  uuid: 8,
  text: 9,
  json: 10,
  object: 11,
} as const;

const byToken = new Int8Array(11);
byToken[token.null] = observed.null;
byToken[token.false] = observed.boolean;
byToken[token.true] = observed.boolean;
byToken[token.number] = -1;
byToken[token.string] = -2;
byToken[token.escaped] = observed.text;
byToken[token.cell] = -3;
byToken[token.quotedCell] = observed.text;
byToken[token.array] = observed.json;
byToken[token.object] = observed.object;
byToken[token.deepObject] = observed.json;

/** Type of one token, as a number of `observed`. Reads the bytes, never a rounded value. */
export function classify(kind: number, bytes: Uint8Array, start: number, end: number): number {
  const fixed = byToken[kind] as number;
  if (fixed >= 0) return fixed;
  if (fixed === -1) return classifyNumber(bytes, start, end);
  return fixed === -2 ? classifyString(bytes, start, end) : classifyCell(bytes, start, end);
}

const maxDigits = 38;
const maxExponent = 38;
const maxInt64 = '9223372036854775807';
const minInt64 = '9223372036854775808';

/** A JSON number: int64 where it is a plain integer that fits, decimal, or outsized. */
export function classifyNumber(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === 0x2d;
  const first = negative ? start + 1 : start;
  const stop = digitsEnd(bytes, first, end);
  if (stop === end) return classifyWhole(bytes, first, end, negative);
  const plain = bytes[stop] === 0x2e && digitsEnd(bytes, stop + 1, end) === end;
  return plain && end - first <= maxDigits ? observed.decimal : classifyDecimal(bytes, first, end);
}

function classifyWhole(bytes: Uint8Array, first: number, end: number, negative: boolean): number {
  const length = end - first;
  if (length < maxInt64.length) {
    const minusZero = negative && length === 1 && bytes[first] === 0x30;
    return minusZero ? observed.decimal : observed.int64;
  }
  if (length > maxInt64.length) return length > maxDigits ? observed.outsized : observed.decimal;
  const fits = toText(bytes, first, end) <= (negative ? minInt64 : maxInt64);
  return fits ? observed.int64 : observed.decimal;
}

/** At most 38 digits, and the first of them not beyond 10^±38. */
function classifyDecimal(bytes: Uint8Array, start: number, end: number): number {
  const text = toText(bytes, start, end);
  const [mantissa = '', exponentText = '0'] = text.split(/[eE]/);
  const [whole = '', fraction = ''] = mantissa.split('.');
  const digits = (whole + fraction).replace(/^0+/, '');
  const exponent = Number(exponentText);
  if (Math.abs(exponent) > maxExponent * 2) return observed.outsized;
  if (digits === '') return observed.decimal;
  const leading = digits.length - fraction.length + exponent - 1;
  const fits = digits.length <= maxDigits && Math.abs(leading) <= maxExponent;
  return fits ? observed.decimal : observed.outsized;
}

/** A JSON string is a date, a time, a uuid or text; never a number or a boolean. */
export function classifyString(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 10) return observed.text;
  if (length === 36 && bytes[start + 8] === 0x2d) return classifyUuid(bytes, start, end);
  if (bytes[start + 4] === 0x2d && bytes[start + 7] === 0x2d)
    return classifyTime(bytes, start, end);
  return observed.text;
}

const wholeNumber = /^(?:0|-?[1-9]\d{0,17})$/;
const fractional = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A CSV cell may be a number or a boolean, where reading it so loses nothing of its form. */
export function classifyCell(bytes: Uint8Array, start: number, end: number): number {
  const byte = bytes[start] as number;
  const length = end - start;
  if (startsNumber(byte)) {
    const numeric = length <= 48 ? classifyNumericCell(bytes, start, end) : -1;
    if (numeric >= 0) return numeric;
  }
  if (byte === 0x74 || byte === 0x66) {
    const word = length <= 5 ? toText(bytes, start, end) : '';
    if (word === 'true' || word === 'false') return observed.boolean;
  }
  return classifyString(bytes, start, end);
}

function startsNumber(byte: number): boolean {
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
}

function classifyNumericCell(bytes: Uint8Array, start: number, end: number): number {
  const text = toText(bytes, start, end);
  if (wholeNumber.test(text)) return observed.int64;
  if (!fractional.test(text) || !/[.eE]/.test(text)) return -1;
  const digits = text.replace(/[eE].*$/, '').replaceAll(/\D/g, '').length;
  return digits <= 18 ? classifyNumber(bytes, start, end) : -1;
}

/** Canonical lower-case form only: any other would come out changed. */
function classifyUuid(bytes: Uint8Array, start: number, end: number): number {
  const dashes =
    bytes[start + 13] === 0x2d && bytes[start + 18] === 0x2d && bytes[start + 23] === 0x2d;
  if (!dashes) return observed.text;
  let digits = 0;
  for (let at = start; at < end; at += 1) if (isLowerHex(bytes[at] as number)) digits += 1;
  return digits === end - start - 4 ? observed.uuid : observed.text;
}

function isLowerHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66);
}

const isoTime =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?(Z|[+-](\d\d)(?::?(\d\d))?)?)?$/;

/** ISO dates and times that exist, with at most 6 digits behind the second. */
function classifyTime(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > 40) return observed.text;
  const usual = classifyUsualTime(bytes, start, end);
  if (usual >= 0) return usual;
  const match = isoTime.exec(toText(bytes, start, end));
  if (!match) return observed.text;
  const [, year, month, day, hour, minute, second, zone, zoneHour, zoneMinute] = match;
  const sound =
    isDate(Number(year), Number(month), Number(day)) &&
    isTimeOfDay(hour, minute, second) &&
    isZone(zoneHour, zoneMinute);
  if (!sound) return observed.text;
  if (hour === undefined) return observed.date;
  return zone === undefined ? observed.timestamp : observed.timestamptz;
}

/** The forms that most times have, without a regular expression; -1 for any other. */
function classifyUsualTime(bytes: Uint8Array, start: number, end: number): number {
  const year = twoDigits(bytes, start) * 100 + twoDigits(bytes, start + 2);
  if (!isDate(year, twoDigits(bytes, start + 5), twoDigits(bytes, start + 8))) return -1;
  if (end - start === 10) return observed.date;
  if (end - start < 19 || !isClock(bytes, start + 10)) return -1;
  const at = fractionEnd(bytes, start + 19, end);
  if (at === end) return observed.timestamp;
  return bytes[at] === 0x5a && at + 1 === end ? observed.timestamptz : -1;
}

/** Behind the digits of a second, which may be none; where there are too many, before them. */
function fractionEnd(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== 0x2e) return at;
  const stop = digitsEnd(bytes, at + 1, end);
  return stop > at + 1 && stop <= at + 7 ? stop : at;
}

/** `Thh:mm:ss` that exists. */
function isClock(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== 0x54 || bytes[at + 3] !== 0x3a || bytes[at + 6] !== 0x3a) return false;
  const hour = twoDigits(bytes, at + 1);
  const minute = twoDigits(bytes, at + 4);
  const second = twoDigits(bytes, at + 7);
  return hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60;
}

/** Far below zero where there are no two digits, so that nothing makes up for it. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const [tens, ones] = [(bytes[at] as number) - 0x30, (bytes[at + 1] as number) - 0x30];
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -100_000;
}

function isTimeOfDay(hour = '0', minute = '0', second = '0'): boolean {
  return Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60;
}

function isZone(hour = '0', minute = '0'): boolean {
  return Number(hour) < 15 && Number(minute) < 60;
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isDate(year: number, month: number, day: number): boolean {
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= (monthDays[month - 1] ?? 0) + (leap ? 1 : 0);
}

/** Behind the last of the digits that begin at a place. */
function digitsEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39) at += 1;
  return at;
}

/** ASCII only. */
function toText(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 1) text += String.fromCharCode(bytes[at] as number);
  return text;
}
