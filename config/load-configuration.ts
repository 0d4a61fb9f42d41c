import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isCollection, LineCounter, parseDocument, type Document } from 'yaml';
import type { Configuration } from '../core/configuration.ts';
import { PipelineError } from '../core/errors.ts';
import { checkDocument } from './check-document.ts';
import { expandValues } from './expand-values.ts';
import { settingsAt } from './json-schema.ts';
import { nearest, type Problem } from './problems.ts';

export interface LoadedConfiguration {
  readonly configuration: Configuration;
  /** The same as it is written, with texts expanded: what travels to the server. */
  readonly document: unknown;
  /** Folder of the file; relative paths begin here. */
  readonly configDir: string;
}

/**
 * Reads and checks `millrace.yaml`. All faults are reported at once, each with its line and column.
 * @throws PipelineError `invalid-config`
 */
export async function loadConfiguration(
  file: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<LoadedConfiguration> {
  const configDir = dirname(resolve(file));
  const lines = new LineCounter();
  const document = parseDocument(await readText(file), { lineCounter: lines, prettyErrors: false });
  const say = (offset: number | undefined, message: string) => {
    const { line, col } = lines.linePos(offset ?? 0);
    return `${file}:${line}:${col}: ${message}`;
  };
  if (document.errors.length > 0) {
    throw invalid(document.errors.map(({ pos, message }) => say(pos[0], firstLine(message))));
  }
  const faults: Problem[] = [];
  const fault = (path: Problem['path'], message: string) => void faults.push({ path, message });
  const values = expandValues(toData(document, file), { env, configDir, fault });
  const { configuration, problems } = await checkDocument(values);
  const all = [...faults, ...problems];
  if (configuration && all.length === 0) return { configuration, document: values, configDir };
  const messages = all.map(async (problem) => {
    const { path } = problem;
    const where = path.slice(0, -1).join('.');
    const message = await withSuggestion(problem, document);
    return say(offsetOf(document, path), where === '' ? message : `${where}: ${message}`);
  });
  throw invalid(await Promise.all(messages));
}

/** The same checks for a configuration that arrives over HTTP. */
export async function validateConfiguration(document: unknown): Promise<Configuration> {
  const { configuration, problems } = await checkDocument(document);
  if (configuration) return configuration;
  throw invalid(problems.map(({ path, message }) => `${path.join('.')}: ${message}`));
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new PipelineError(
      'invalid-config',
      `${file} cannot be read: write one with "npm run millrace -- init", or name another with -f`,
      { cause },
    );
  }
}

/** @throws PipelineError for aliases that multiply without end */
function toData(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch {
    throw invalid([`${file}: its aliases (*name) cannot be resolved: write the values out`]);
  }
}

function invalid(messages: readonly string[]): PipelineError {
  return new PipelineError('invalid-config', messages.join('\n'));
}

async function withSuggestion({ path, message }: Problem, document: Document): Promise<string> {
  if (!message.startsWith('unknown setting')) return message;
  const typeOf = (section: string, name: string) => {
    const type: unknown = document.getIn([section, name, 'type']);
    return typeof type === 'string' ? type : undefined;
  };
  const known = await settingsAt(path, typeOf);
  const close = nearest(String(path.at(-1)), known);
  if (close !== undefined) return `${message}: did you mean ${close}?`;
  return known.length === 0 ? message : `${message}: here may stand ${known.join(', ')}`;
}

/** Where a setting stands: its key, or the nearest place around it. */
function offsetOf(document: Document, path: readonly (string | number)[]): number | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const parent: unknown = document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    if (!isCollection(parent)) continue;
    for (const item of parent.items) {
      const named = item as { key?: { value?: unknown; range?: [number, number, number] } };
      if (named.key?.value === key && named.key?.range) return named.key.range[0];
    }
    const node = parent.get(key as never, true) as { range?: [number, number, number] } | undefined;
    if (node?.range) return node.range[0];
  }
  return undefined;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text;
}
