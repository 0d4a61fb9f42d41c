import { print } from './print.ts';

type Cell = string | number | null | undefined;

/** Rows under headings, columns as wide as their content; numbers to the right. */
export function printTable(
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
  out: (line: string) => void = print,
): void {
  const texts = rows.map((row) => row.map(toText));
  const widths = headings.map((heading, at) =>
    Math.max(heading.length, ...texts.map((row) => row[at]?.length ?? 0)),
  );
  const numeric = headings.map(
    (_, at) => rows.length > 0 && rows.every((row) => typeof row[at] === 'number'),
  );
  const toLine = (cells: readonly string[]) =>
    cells
      .map((cell, at) =>
        numeric[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd();
  out(toLine(headings));
  for (const row of texts) out(toLine(row));
}

/** One line, without what would steer a terminal. */
function toText(cell: Cell): string {
  return String(cell ?? '').replaceAll(/\p{Cc}+/gu, ' ');
}
