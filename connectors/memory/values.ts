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

/** A day that the calendar has. */
function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}
