import type { CopyResult, EncodedRows, LoadTransaction } from '../../core/destination.ts';

export interface RefusedRow {
  /** Index in the rows of the part. */
  readonly row: number;
  readonly sqlState: string;
  readonly column?: string | undefined;
  readonly message: string;
}

export interface IsolatedCopy {
  readonly loaded: number;
  readonly duplicate: number;
  readonly superseded: number;
  readonly refused: readonly RefusedRow[];
}

type Refusal = Extract<CopyResult, { ok: false }>;

/** After a part that went in, the next one is so many times as large. */
const growth = 4;

/**
 * Copies rows so that all good ones load, at COPY speed as long as nothing is refused. Where the
 * destination names the refused row, the rows before it are copied, then it alone; where it does
 * not, the part is halved until the row is alone. Parts are small behind a refused row and grow
 * again, so that a table that refuses everything costs one copy a row.
 */
export async function copyIsolating(
  transaction: LoadTransaction,
  rows: EncodedRows,
): Promise<IsolatedCopy> {
  const refused: RefusedRow[] = [];
  let [loaded, duplicate, superseded, from, size] = [0, 0, 0, 0, rows.rowCount];
  let suspect = -1;
  while (from < rows.rowCount) {
    const to = from === suspect ? from + 1 : Math.min(rows.rowCount, from + size);
    const result = await transaction.copy(rows, from, to);
    if (result.ok) {
      loaded += result.loaded;
      duplicate += result.duplicate;
      superseded += result.superseded;
      from = to;
      size *= growth;
    } else if (to - from === 1) {
      const { sqlState, column, message } = result;
      refused.push({ row: from, sqlState, column, message });
      from = to;
      size = 1;
    } else {
      suspect = isBetween(result, from, to) ? result.row : -1;
      size = suspect > from ? suspect - from : suspect === from ? 1 : (to - from) >> 1;
    }
  }
  return { loaded, duplicate, superseded, refused };
}

function isBetween(result: Refusal, from: number, to: number): result is Refusal & { row: number } {
  return result.row !== undefined && result.row >= from && result.row < to;
}
