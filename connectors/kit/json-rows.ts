import type { RowEncoding } from '../../core/mapping.ts';

/** A line per row, its cells JSON strings or null, joined by tabs: any text survives. */
export const jsonRowEncoding: RowEncoding = {
  nullCell: 'null',
  separator: '\t',
  terminator: '\n',
  storesAnyText: true,
  escape: (text) => JSON.stringify(text),
};

/** Cells of encoded rows. Numbers and the like come bare, in their canonical text. */
export function decodeRows(text: string): readonly (readonly (string | null)[])[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => line.split('\t').map(decodeCell));
}

function decodeCell(cell: string): string | null {
  if (cell === 'null') return null;
  return cell.startsWith('"') ? (JSON.parse(cell) as string) : cell;
}
