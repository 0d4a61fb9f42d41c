/** What is wrong with an order, if anything. */
const brokenJson = (id: number) => id % 211 === 7;
const textAmount = (id: number) => id % 97 === 13;
/** Sound, but a table with `CHECK (amount < 900)` refuses it. */
const bigAmount = (id: number) => id % 401 === 3;

/**
 * Lines of NDJSON with the ids `first`..`first + count - 1`, the same ones every time: mostly sound
 * orders, some broken lines, some amounts that are no numbers, some that are very large. A new
 * field, where named, is one more column.
 */
export function makeOrders(first: number, count: number, newField?: string): string {
  let text = '';
  for (let id = first; id < first + count; id += 1) text += `${makeOrder(id, newField)}\n`;
  return text;
}

function makeOrder(id: number, newField?: string): string {
  const customer = `Zoë "${id % 1000}"\t🚚`;
  const amount = textAmount(id) ? '"n/a"' : makeAmount(id);
  const placed = new Date(Date.UTC(2024, 0, 1) + id * 61_000).toISOString().replace('.000', '');
  const note = id % 5 === 0 ? 'null' : `"line\\n${id * 7919}"`;
  const more = newField === undefined ? '' : `,"${newField}":${id}`;
  const line = `{"id":${id},"customer":${JSON.stringify(customer)},"amount":${amount},"placed_at":"${placed}","paid":${id % 3 === 0},"note":${note}${more}}`;
  return brokenJson(id) ? line.slice(0, -9) : line;
}

function makeAmount(id: number): string {
  const whole = bigAmount(id) ? 999 : id % 900;
  return `${whole}.${String(id % 100).padStart(2, '0')}`;
}
