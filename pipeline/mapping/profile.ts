import type { ObservedType } from '../../core/field-types.ts';
import type { FieldProfile, StreamProfile } from '../../core/mapping.ts';
import type { PathTree } from '../../formats/path-tree.ts';
import { rootNode } from '../../formats/path-tree.ts';
import type { RecordTape } from '../../formats/record-tape.ts';
import { observedTypes } from './classify.ts';

const width = observedTypes.length;
/** Nodes beyond are names for one record only; see `PathTree`. */
const profiledNodes = 8_192;

/** Counts, for every field of a stream, how often each type was seen. All events, no sampling. */
export class StreamProfiler {
  readonly #tree: PathTree;
  #counts = new Float64Array(64 * width);
  #events = 0;
  #moreFields = false;

  constructor(tree: PathTree) {
    this.#tree = tree;
  }

  add(tape: RecordTape, codes: Uint8Array): void {
    this.#events += 1;
    this.#moreFields ||= this.#tree.size > profiledNodes;
    if (this.#counts.length < this.#tree.size * width) this.#grow();
    const counts = this.#counts;
    for (let at = 0; at < tape.count; at += 1) {
      const place = (tape.nodes[at] as number) * width + (codes[at] as number);
      counts[place] = (counts[place] as number) + 1;
    }
  }

  /** Null where no event could be read. */
  result(stream: string): StreamProfile | null {
    if (this.#events === 0) return null;
    const fields: FieldProfile[] = [];
    const nodes = Math.min(this.#counts.length / width, this.#tree.size, profiledNodes);
    for (let node = rootNode + 1; node < nodes; node += 1) {
      const types = this.#typesOf(node);
      if (types) fields.push({ path: this.#tree.pathOf(node), types });
    }
    const events = this.#events;
    return { stream, events, fields, ...(this.#moreFields && { moreFields: true as const }) };
  }

  #typesOf(node: number): FieldProfile['types'] | null {
    const types: { [type in ObservedType]?: number } = {};
    let seen = false;
    for (const [code, type] of observedTypes.entries()) {
      const count = this.#counts[node * width + code] as number;
      if (count > 0) types[type] = count;
      seen ||= count > 0;
    }
    return seen ? types : null;
  }

  #grow(): void {
    const grown = new Float64Array(this.#tree.size * 2 * width);
    grown.set(this.#counts);
    this.#counts = grown;
  }
}
