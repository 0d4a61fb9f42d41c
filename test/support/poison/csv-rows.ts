import { bytes, type Parked } from './json-lines.ts';

export const csvHeader = 'id,n,price,name,note';

/** CSV rows of these columns, and how each must end: parked, or loaded with these cells. */
export const csvRows: readonly (readonly [
  string | Uint8Array,
  (Parked | Record<string, string | null>)?,
])[] = [
  ['2,7,1.25,ada,x', { id: '2', n: '7', price: '1.25', name: 'ada', note: 'x' }],
  ['3,7,1.25,ada', { raw: '3,7,1.25,ada', kind: 'invalid-csv' }],
  ['3,7,1.25,ada,x,y', { raw: '3,7,1.25,ada,x,y', kind: 'invalid-csv' }],
  ['4,,,,', { id: '4', n: null, price: null, name: null, note: null }],
  ['5,1,1,"",""', { id: '5', name: '', note: '' }],
  ['6,1,1,"a ""quoted"" word","x,y"', { id: '6', name: 'a "quoted" word', note: 'x,y' }],
  ['7,1,1,"two\nlines\r\n\\N",\\N', { id: '7', name: 'two\nlines\r\n\\N', note: '\\N' }],
  ['8,1,1,say "hi",x', { id: '8', name: 'say "hi"' }],
  ['9,1,1,"closed" early,x', { raw: '9,1,1,"closed" early,x', kind: 'invalid-csv' }],
  ['10,seven,1,a,b', { raw: '10,seven,1,a,b', kind: 'type-mismatch', field: 'n', stage: 'map' }],
  ['11,007,1,a,b', { raw: '11,007,1,a,b', kind: 'type-mismatch', field: 'n', stage: 'map' }],
  ['12,+7,1,a,b', { raw: '12,+7,1,a,b', kind: 'type-mismatch', field: 'n', stage: 'map' }],
  ['13,1,1e400,a,b', { raw: '13,1,1e400,a,b', kind: 'out-of-range', field: 'price', stage: 'map' }],
  ['14,1,NaN,a,b', { raw: '14,1,NaN,a,b', kind: 'type-mismatch', field: 'price', stage: 'map' }],
  ['15,1,1,a\0b,c', { raw: '15,1,1,a\0b,c', kind: 'unrepresentable', field: 'name', stage: 'map' }],
  ['16,1,1,007,1e400', { id: '16', name: '007', note: '1e400' }],
  ['17,1,1, a ,"\ufeff\\"', { id: '17', name: ' a ', note: '\ufeff\\' }],
  [
    bytes('18,1,1,', [0xff], ',x'),
    { raw: bytes('18,1,1,', [0xff], ',x'), kind: 'invalid-encoding' },
  ],
  ['19,1.5,1,a,b', { id: '19', n: '1.5' }],
  [
    '20,1,1,"never closed,x\n21,1,1,a,b',
    { raw: '20,1,1,"never closed,x\n21,1,1,a,b', kind: 'invalid-csv' },
  ],
];
