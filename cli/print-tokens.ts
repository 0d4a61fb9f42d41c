import { print } from './print.ts';

/** Tokens of sources that can be posted to. Nobody keeps them: they are shown once. */
export function printTokens(tokens: Readonly<Record<string, string>>): void {
  const entries = Object.entries(tokens);
  if (entries.length === 0) return;
  print('Tokens, shown only now ("source token rotate" gives others):');
  const width = Math.max(...entries.map(([source]) => source.length));
  for (const [source, token] of entries) print(`  ${source.padEnd(width)}  ${token}`);
}
