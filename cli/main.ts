import { CommanderError } from 'commander';
import { codeOf, describeError, errorDocument, exitCode, VerbEnd } from './exit-codes.ts';
import { printJson, say } from './print.ts';
import { createProgram } from './program.ts';

/** `npm run millrace -- <verb>`: runs one verb and ends with its exit code. */
let code: number = exitCode.ok;
process.stdout.on('error', () => process.exit(code)); // the reader of our pipe has gone
try {
  await createProgram((next) => void (code = next)).parseAsync();
} catch (error) {
  code = endWith(error);
}
process.exitCode = code;
// A foreground `up` has ended everything by now; nothing that is left may keep us alive.
process.stdout.write('', () => process.exit(code));

/** Commander has said already what it objects to; a program that asked with `--json` reads stdout. */
function endWith(thrown: unknown): number {
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCode.ok;
  const isUsage = thrown instanceof CommanderError;
  const error = isUsage
    ? new VerbEnd(exitCode.usage, thrown.message.replace(/^error: /, ''))
    : thrown;
  const text = describeError(error);
  if (text !== '' && !isUsage) say(text);
  if (process.argv.includes('--json')) printJson(errorDocument(error));
  return codeOf(error);
}
