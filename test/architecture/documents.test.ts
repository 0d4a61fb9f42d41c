import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../../cli/program.ts';
import { failpoints } from '../../core/failpoints.ts';
import { codeSpans, fencedLines, listFiles, readProjectFile, root } from '../support/project.ts';

const documents = listFiles().filter(
  (file) => file.endsWith('.md') && existsSync(join(root, file)),
);
const program = createProgram(() => undefined);
const { scripts } = JSON.parse(readProjectFile('package.json')) as {
  scripts: Record<string, string>;
};

describe('ARCHITECTURE.md', () => {
  const spans = codeSpans(readProjectFile('ARCHITECTURE.md'));
  const paths = spans.filter((text) => /^[\w.-]+\/[\w./-]*$/.test(text));

  test('names only files and folders that exist', () => {
    expect(paths.length).toBeGreaterThan(30);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test('names every folder of the product', () => {
    const folders = new Set(listFiles().flatMap((file) => /^([a-z]+)\//.exec(file)?.[1] ?? []));
    for (const name of ['bench', 'docs', 'examples', 'test']) folders.delete(name);
    expect([...folders].filter((folder) => !spans.includes(`${folder}/`))).toEqual([]);
  });
});

describe('documents', () => {
  test.each(documents)('%s links only to what exists', (file) => {
    const links = [...readProjectFile(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)];
    const local = links.map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link));
    const missing = local.filter((link) => !existsSync(join(root, dirname(file), link)));
    expect(missing).toEqual([]);
  });

  test.each(documents)('%s names npm scripts, verbs and options that exist', (file) => {
    const text = readProjectFile(file);
    const commands = [...fencedLines(text, 'sh'), ...codeSpans(text)];
    expect(commands.flatMap((command) => faultsOf(command.trim()))).toEqual([]);
  });

  test.each(documents)('%s posts events as a type that is taken', (file) => {
    const lines = fencedLines(readProjectFile(file), 'sh');
    const posts = lines.filter((line) => /^curl .*\/v1\/events\//.test(line));
    // Without it curl says that it sends a form, which is answered 415.
    expect(posts.filter((line) => !/content-type: application\//i.test(line))).toEqual([]);
  });

  test('the environment page lists every variable that the code reads', () => {
    const page = readProjectFile('docs/reference/environment.md');
    const code = listFiles().filter(
      (file) => /[.][jt]s$/.test(file) && !/^(test|bench|examples)\//.test(file),
    );
    const names = new Set(
      code.flatMap((file) => readProjectFile(file).match(/\b(MILLRACE|TEMPORAL)_[A-Z_]+\b/g) ?? []),
    );
    expect(names.size).toBeGreaterThan(20);
    expect([...names].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('docs/guarantees.md and docs/acceptance.md', () => {
  const guarantees = readProjectFile('docs/guarantees.md');
  const acceptance = readProjectFile('docs/acceptance.md');

  test('speak of every guarantee and of every line', () => {
    const found = (text: string, form: RegExp) => [...text.matchAll(form)].map(([, id]) => id);
    expect(found(guarantees, /^\| *(G\d+) *\|/gm)).toEqual(numbers(14).map((n) => `G${n}`));
    expect(found(acceptance, /^## (\d+)[.] /gm)).toEqual(numbers(22).map(String));
  });

  test.each(['docs/guarantees.md', 'docs/acceptance.md'])('%s names tests that exist', (file) => {
    const named = [...readProjectFile(file).matchAll(/`(test\/[^`]+)`(?: › ([^|;\n]+))?/g)];
    expect(named.length).toBeGreaterThan(5);
    const wrong = named.filter(([, path = '', title]) => !hasTest(path, title?.trim()));
    expect(wrong.map(([text]) => text)).toEqual([]);
  });
});

test('every failpoint is a place in the code, is described, and is killed at by a test', () => {
  const read = (pattern: RegExp) =>
    listFiles()
      .filter((file) => pattern.test(file))
      .map(readProjectFile)
      .join('\n');
  const [code, tests] = [
    read(/^(activities|connectors|intake|pipeline|server|store)\/.*[.]ts$/),
    read(/^test\/.*[.]ts$/),
  ];
  const names = Object.keys(failpoints);
  const found = new Set([...code.matchAll(/\bfailpoint\('([a-z-]+)'\)/g)].map(([, name]) => name));
  expect(found).toEqual(new Set(names));
  const armed = new Set([...tests.matchAll(/'([a-z-]+)(?:=[^']+)?'/g)].map(([, name]) => name));
  expect(names.filter((name) => !armed.has(name))).toEqual([]);
  const described = [
    ...readProjectFile('docs/reference/failpoints.md').matchAll(/^\| `([a-z-]+)` +\| (.*?) +\|$/gm),
  ];
  expect(described.map(([, name, at]) => [name, at])).toEqual(Object.entries(failpoints));
});

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, n) => n + 1);
}

function hasTest(path: string, title: string | undefined): boolean {
  const file = join(root, normalize(path));
  if (!existsSync(file)) return false;
  return title === undefined || readProjectFile(path).replaceAll('\\', '').includes(title);
}

/** What is wrong with one command of a document; other texts have no faults. */
function faultsOf(command: string): readonly string[] {
  const script = /(?:^|\s)npm (?:run )?([a-z:]+)/.exec(command)?.[1];
  const known = script === undefined || script === 'ci' || Object.hasOwn(scripts, script);
  if (!known) return [`${command}: there is no script ${script}`];
  const words = /^npm run millrace -- (.+)$/.exec(command)?.[1] ?? command;
  const [first = ''] = words.split(' ');
  if (!program.commands.some((verb) => verb.name() === first)) return [];
  return verbFaults(program, words.split(/ +/)).map((fault) => `${command}: ${fault}`);
}

function verbFaults(verb: Command, words: readonly string[]): readonly string[] {
  const [first, ...others] = words;
  const next = verb.commands.find((child) => child.name() === first);
  if (next) return verbFaults(next, others);
  if (verb.commands.length > 0) return words.length === 0 ? [] : [`${verb.name()} ${first}`];
  const options = words.filter((word) => /^--?\w/.test(word));
  const unknown = options.filter(
    (name) => !verb.options.some((option) => option.short === name || option.long === name),
  );
  return unknown.map((name) => `${verb.name()} has no option ${name}`);
}
