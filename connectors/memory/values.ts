import type { FieldType } from '../../core/field-types.ts';

/** A column may become the wider type and keep every value. */
export const widenings: readonly (readonly [from: FieldType, to: FieldType])[] = [
  ['int64', 'decimal'],
  ['date', 'timestamp'],
];

/** Whether a cell's canonical text is a value of a column. Text and json hold anything. */
export function fits(cell: string | null, type: string): boolean {
  if (cell === null) return true;
  switch (type) {
    case 'boolean':
      return cell === 'true' || cell === 'false';
    case 'int64':
      return /^-?\d+$/.test(cell) && BigInt.asIntN(64, BigInt(cell)) === BigInt(cell);
    case 'decimal':
      return /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(cell);
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return isDay(cell.slice(0, 10));
    default:
      return true;
  }
}

/** Whether a column has values that were mapped as `type` as they are. */
export function takes(standing: string | undefined, type: FieldType): boolean {
  if (standing === undefined) return false;
  if (standing === type || standing === 'text') return true;
  return widenings.some(([from, to]) => from === type && to === standing);
}

/** A day that the calendar has. */
function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}
