import type { NamingRule } from '../../core/mapping.ts';

/** Lower-case letters and digits; everything between becomes one underscore. */
export const postgresNaming: NamingRule = {
  maxBytes: 63,
  reserved: new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid']),
  isReservedSchema: (name) =>
    name.startsWith('pg_') || ['information_schema', '_millrace', 'millrace'].includes(name),
  fold(name) {
    const folded = name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '_')
      .replaceAll(/^_+|_+$/g, '');
    return /^\d/.test(folded) ? `_${folded}` : folded;
  },
};
