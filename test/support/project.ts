import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Files that are part of the project, those not yet committed included. */
export function listFiles(): readonly string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate'];
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);
}

export function readProjectFile(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** Texts between backticks in a line of Markdown. */
export function codeSpans(markdown: string): readonly string[] {
  const prose = markdown.replaceAll(/^```[^]*?^```/gm, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text);
}

/** Lines of the fenced blocks of one language. */
export function fencedLines(markdown: string, language: string): readonly string[] {
  const blocks = markdown.matchAll(/^```(\w*)\n([^]*?)^```/gm);
  return [...blocks]
    .filter(([, name]) => name === language)
    .flatMap(([, , text = '']) => text.replaceAll('\\\n', ' ').split('\n'))
    .filter((line) => line.trim() !== '');
}
