import { execFile } from 'node:child_process';
import { findTemporalCli } from '../../local/temporal.ts';
import type { TestInstance } from './instance.ts';

export interface TemporalCli {
  /** Answers the exit code. */
  run(...args: string[]): Promise<{ readonly code: number; readonly output: string }>;
  /** @throws when the program fails. */
  text(...args: string[]): Promise<string>;
  json<T>(...args: string[]): Promise<T>;
}

/** The `temporal` CLI, pointed at the Temporal of an instance: all that an engineer on call has. */
export function openTemporalCli({ urls }: TestInstance): TemporalCli {
  const program = findTemporalCli(process.env);
  const run = (...args: string[]) => {
    const command = [...args, '--address', urls.temporal, '--color', 'never'];
    return new Promise<{ code: number; output: string }>((resolve) => {
      const child = execFile(program, command, { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
        const code = error ? (child.exitCode ?? 1) : 0;
        resolve({ code, output: code === 0 ? stdout : stderr });
      });
    });
  };
  const text = async (...args: string[]) => {
    const { code, output } = await run(...args);
    if (code !== 0) throw new Error(`temporal ${args.join(' ')} ended with ${code}: ${output}`);
    return output;
  };
  const json = async <T>(...args: string[]) =>
    JSON.parse((await text(...args, '--output', 'json')) || '[]') as T;
  return { run, text, json };
}
