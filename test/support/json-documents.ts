import fc from 'fast-check';

/** JSON values as a producer writes them: numbers are text, so that no oracle rounds them. */
export type Written =
  | { readonly kind: 'null' | 'true' | 'false' }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly value: string; readonly escapeAll: boolean }
  | { readonly kind: 'array'; readonly items: readonly Written[] }
  | { readonly kind: 'object'; readonly fields: readonly (readonly [string, Written])[] };

const spaces = fc.constantFrom('', '', '', ' ', '\t', '\n', ' \r\n ');

export const numberText = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(
      fc.constant('0'),
      fc.bigInt({ min: 1n, max: 10n ** 45n }).map(String),
      fc.nat().map(String),
    ),
    fc.oneof(fc.constant(''), fc.stringMatching(/^\.\d{1,45}$/), fc.constantFrom('.0', '.50')),
    fc.oneof(fc.constant(''), fc.constant(''), fc.stringMatching(/^[eE][+-]?\d{1,3}$/)),
  )
  .map((parts) => parts.join(''));

export const anyText = fc.oneof(
  fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
  fc.string(),
  fc.constantFrom(
    '',
    '__proto__',
    'constructor',
    '\u0000',
    '\ufeff',
    '\\N',
    'a.b',
    '2026-01-02',
    '007',
  ),
);

const scalar: fc.Arbitrary<Written> = fc.oneof(
  fc.constantFrom('null', 'true', 'false').map((kind) => ({ kind }) as Written),
  numberText.map((text) => ({ kind: 'number' as const, text })),
  fc.record({ kind: fc.constant('string' as const), value: anyText, escapeAll: fc.boolean() }),
);

const key = fc.oneof(fc.constantFrom('a', 'b', 'c', 'id', 'a.b', '\\', ''), anyText);

export const { document: written } = fc.letrec<{ document: Written }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 7, depthSize: 'medium' },
    scalar,
    fc.array(tie('document'), { maxLength: 4 }).map((items) => ({ kind: 'array' as const, items })),
    fc
      .uniqueArray(fc.tuple(key, tie('document')), { selector: ([name]) => name, maxLength: 5 })
      .map((fields) => ({ kind: 'object' as const, fields })),
  ),
}));

/** The value as text, with white space wherever the grammar lets it stand. */
export function renderWith(value: Written, space: () => string): string {
  const inner = (item: Written) => `${space()}${renderWith(item, space)}${space()}`;
  switch (value.kind) {
    case 'number':
      return value.text;
    case 'string':
      return quoted(value.value, value.escapeAll);
    case 'array':
      return `[${value.items.length === 0 ? space() : value.items.map(inner).join(',')}]`;
    case 'object': {
      const fields = value.fields.map(
        ([name, item]) => `${space()}${quoted(name, false)}${space()}:${inner(item)}`,
      );
      return `{${fields.length === 0 ? space() : fields.join(',')}}`;
    }
    default:
      return value.kind;
  }
}

/** Documents as text. */
export const documentText = fc
  .tuple(written, fc.infiniteStream(spaces))
  .map(([value, stream]) => renderWith(value, () => stream.next().value as string));

function quoted(text: string, escapeAll: boolean): string {
  if (!escapeAll) return JSON.stringify(text);
  const escaped = Array.from(
    { length: text.length },
    (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`,
  );
  return `"${escaped.join('')}"`;
}

/** Whether an object of a sound document has a key twice. Reads tokens, knows nothing else. */
export function hasDuplicateKey(json: string): boolean {
  const keys: (Set<string> | null)[] = [];
  let previous = '';
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs)) {
    if (token === '{') keys.push(new Set());
    else if (token === '[') keys.push(null);
    else if (token === '}' || token === ']') keys.pop();
    else if (token === ':') {
      const name = JSON.parse(previous) as string;
      if (keys.at(-1)?.has(name)) return true;
      keys.at(-1)?.add(name);
    }
    previous = token;
  }
  return false;
}
