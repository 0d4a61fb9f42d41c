import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromFieldPath, toFieldPath } from '../../../core/field-types.ts';
import { PathTree, rootNode } from '../../../formats/path-tree.ts';

const segments = fc.array(
  fc.oneof(fc.constantFrom('a', '', '.', '\\', 'a.b', '\\.'), fc.string()),
  { minLength: 1, maxLength: 6 },
);

test('a path and its segments are the same thing', () => {
  const law = fc.property(segments, (names) => {
    expect(fromFieldPath(toFieldPath(names))).toEqual(names);
  });
  fc.assert(law);
  expect(toFieldPath(['a.b', 'c'])).not.toBe(toFieldPath(['a', 'b.c']));
});

test('two fields have one number exactly if they have one path', () => {
  const law = fc.property(fc.array(segments, { maxLength: 20 }), (paths) => {
    const tree = new PathTree();
    const nodes = paths.map((names) =>
      names.reduce(
        (parent, name) => tree.child(parent, name, { previous: -1, bytes: null }),
        rootNode,
      ),
    );
    for (const [at, node] of nodes.entries()) {
      expect(tree.pathOf(node)).toBe(toFieldPath(paths[at] ?? []));
      for (const [other, second] of nodes.entries()) {
        expect(node === second).toBe(
          toFieldPath(paths[at] ?? []) === toFieldPath(paths[other] ?? []),
        );
      }
    }
  });
  fc.assert(law);
});

test('a key seen a second time in one record is noticed, in the next record it is new', () => {
  const tree = new PathTree();
  const node = tree.child(rootNode, 'a', { previous: -1, bytes: null });
  tree.beginRecord();
  expect(tree.see(node)).toBe(true);
  expect(tree.see(node)).toBe(false);
  tree.beginRecord();
  expect(tree.see(node)).toBe(true);
});

test('names that are data do not pile up', () => {
  const tree = new PathTree();
  for (let record = 0; record < 20; record += 1) {
    tree.beginRecord();
    for (let at = 0; at < 1_000; at += 1) {
      tree.child(rootNode, `${record}-${at}`, { previous: -1, bytes: null });
    }
  }
  expect(tree.size).toBeLessThan(10_000);
  expect(tree.pathOf(tree.child(rootNode, '0-0', { previous: -1, bytes: null }))).toBe('0-0');
});
