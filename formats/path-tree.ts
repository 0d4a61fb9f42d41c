import { toFieldPath, type FieldPath } from '../core/field-types.ts';

/** The record itself; its fields are children. */
export const rootNode = 0;
const none = -1;
/** Keys beyond so many are data rather than names: they live for one record only. */
const maxNodes = 8_192;

/**
 * Numbers for field paths, so that a field costs an integer, not a string. Remembers which key
 * followed which: records of a stream mostly have the same keys in the same order.
 */
export class PathTree {
  readonly #parents: number[] = [none];
  readonly #keys: string[] = [''];
  readonly #bytes: (Uint8Array | null)[] = [null];
  readonly #children: (Map<string, number> | undefined)[] = [undefined];
  readonly #paths: (FieldPath | undefined)[] = [''];
  readonly #first: number[] = [none];
  readonly #next: number[] = [none];
  readonly #seen: number[] = [0];
  #record = 0;
  #kept = 1;
  /** Nodes that lead to one which will be forgotten. */
  readonly #pointing: number[] = [];

  get size(): number {
    return this.#parents.length;
  }

  /** Forgets the keys that only the record before had, and which keys have been seen. */
  beginRecord(): void {
    this.#record += 1;
    if (this.#parents.length > this.#kept) this.#dropTemporary();
  }

  /** False when this record had the node before: a duplicate key. */
  see(node: number): boolean {
    if (this.#seen[node] === this.#record) return false;
    this.#seen[node] = this.#record;
    return true;
  }

  /** The key that came after `previous` (or first, where it is -1) the last time. */
  predict(parent: number, previous: number): number {
    return (previous < 0 ? this.#first[parent] : this.#next[previous]) ?? none;
  }

  /** Bytes of the key as they stand in JSON, or null where they hold escapes. */
  keyBytes(node: number): Uint8Array | null {
    return this.#bytes[node] ?? null;
  }

  /** Node of a key, found or made. `bytes`: how the key is written, where that is plain. */
  child(parent: number, key: string, at: { previous: number; bytes: Uint8Array | null }): number {
    const children = (this.#children[parent] ??= new Map());
    const node = children.get(key) ?? this.#add(parent, key, at.bytes);
    children.set(key, node);
    if (at.previous < 0) this.#first[parent] = node;
    else this.#next[at.previous] = node;
    if (node >= maxNodes) this.#pointing.push(at.previous < 0 ? parent : at.previous);
    return node;
  }

  parentOf(node: number): number {
    return this.#parents[node] ?? none;
  }

  pathOf(node: number): FieldPath {
    return (this.#paths[node] ??= toFieldPath(this.#segments(node)));
  }

  #segments(node: number): string[] {
    const segments: string[] = [];
    for (let at = node; at > rootNode; at = this.parentOf(at))
      segments.unshift(this.#keys[at] ?? '');
    return segments;
  }

  #add(parent: number, key: string, bytes: Uint8Array | null): number {
    const node = this.#parents.length;
    this.#parents.push(parent);
    this.#keys.push(key);
    this.#bytes.push(bytes);
    this.#children.push(undefined);
    this.#paths.push(undefined);
    this.#first.push(none);
    this.#next.push(none);
    this.#seen.push(0);
    if (node < maxNodes) this.#kept = node + 1;
    return node;
  }

  #dropTemporary(): void {
    const kept = this.#kept;
    for (let node = kept; node < this.#parents.length; node += 1) {
      this.#children[this.parentOf(node)]?.delete(this.#keys[node] ?? '');
    }
    const columns = [this.#parents, this.#keys, this.#bytes, this.#children, this.#paths];
    for (const column of [...columns, this.#first, this.#next, this.#seen]) column.length = kept;
    for (const node of this.#pointing) if (node < kept) this.#unpoint(node);
    this.#pointing.length = 0;
  }

  #unpoint(node: number): void {
    if ((this.#first[node] ?? none) >= this.#kept) this.#first[node] = none;
    if ((this.#next[node] ?? none) >= this.#kept) this.#next[node] = none;
  }
}
