/** One event of the demo: what a device or an application would post. */
export interface DemoEvent {
  readonly type: 'readings' | 'page_views' | 'orders';
  readonly line: string;
  /** It is wrong on purpose, or comes a second time. */
  readonly odd: boolean;
}

const badPart = 0.01;
const pages = ['/', '/pricing', '/docs', '/blog/exactly-once', '/signup'];
const skus = ['kettle', 'lamp', 'desk', 'chair', 'shelf'];

/**
 * Events without end: sensor readings, page views and orders, about 1 % of them odd in several
 * ways. `random` gives numbers from 0 to 1; `run` keeps the ids of two runs apart.
 */
export class DemoEvents {
  readonly #random: () => number;
  readonly #run: string;
  #count = 0;
  #last: { readonly id: string; readonly line: string; readonly type: DemoEvent['type'] } | null =
    null;

  constructor(run: string, random: () => number = Math.random) {
    this.#run = run;
    this.#random = random;
  }

  next(at = new Date()): DemoEvent {
    if (this.#random() < badPart) return this.#odd(at);
    const event = this.#good(at);
    this.#last = event;
    return { ...event, odd: false };
  }

  #good(at: Date) {
    const id = `${this.#run}-${this.#count++}`;
    const type = this.#pick(['readings', 'readings', 'readings', 'page_views', 'orders'] as const);
    const fields = this.#fields(type);
    return { id, type, line: toLine(id, type, { at: at.toISOString(), ...fields }) };
  }

  #fields(type: DemoEvent['type']): Readonly<Record<string, unknown>> {
    const number = (least: number, most: number, digits: number) =>
      Number((least + this.#random() * (most - least)).toFixed(digits));
    if (type === 'readings') {
      const device = `sensor-${Math.floor(this.#random() * 40)}`;
      return { device, temperature: number(-5, 35, 2), humidity: number(20, 90, 1) };
    }
    if (type === 'page_views') {
      return {
        page: this.#pick(pages),
        visitor: Math.floor(this.#random() * 5_000),
        ms: number(5, 900, 0),
      };
    }
    const [sku, quantity] = [this.#pick(skus), 1 + Math.floor(this.#random() * 4)];
    return {
      sku,
      quantity,
      price: number(5, 400, 2),
      customer: { city: 'Bern', vip: this.#random() < 0.1 },
    };
  }

  /** No JSON, a word where a number belongs, an event sent twice, an id used twice. */
  #odd(at: Date): DemoEvent {
    const last = this.#last ?? this.#good(at);
    const id = `${this.#run}-${this.#count++}`;
    const kinds: readonly DemoEvent[] = [
      {
        type: 'readings',
        odd: true,
        line: `{"at":"${at.toISOString()}","device":"sensor-7","temperature":`,
      },
      {
        type: 'readings',
        odd: true,
        line: toLine(id, 'readings', {
          at: at.toISOString(),
          device: 'sensor-3',
          temperature: 'warm',
        }),
      },
      { type: last.type, odd: true, line: last.line },
      {
        type: last.type,
        odd: true,
        line: toLine(last.id, last.type, { at: at.toISOString(), other: true }),
      },
    ];
    return this.#pick(kinds);
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)] as T;
  }
}

function toLine(id: string, type: string, fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...fields, _metadata: { '@uuid': id, event_type: type } });
}
