import type { RowEncoding } from '../../core/mapping.ts';

const special = /[\\\t\n\r]/g;
const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
};

/** COPY's text format: https://www.postgresql.org/docs/current/sql-copy.html */
export const copyTextEncoding: RowEncoding = {
  nullCell: '\\N',
  separator: '\t',
  terminator: '\n',
  storesAnyText: false,
  escape: (text) => text.replaceAll(special, (char) => escapes[char] ?? char),
};
