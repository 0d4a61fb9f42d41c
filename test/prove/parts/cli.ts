import { fileURLToPath } from 'node:url';
import { createProgram } from '../../../cli/program.ts';
import { sabotageOf } from '../sabotage/sabotages.ts';

/**
 * `cli/main.ts` for `up`, with worker and server of a proof: by ways on which harm can be done, with
 * a clock that can be set, and with the sabotage that `SABOTAGE` names.
 */
const name = process.env['SABOTAGE'] ?? '';
sabotageOf(name);
const command = (file: string) => [
  process.execPath,
  fileURLToPath(new URL(file, import.meta.url)),
  name,
];
const commands = { worker: command('worker.ts'), server: command('server.ts') };
let code = 0;
await createProgram((next) => void (code = next), commands).parseAsync();
process.stdout.write('', () => process.exit(code));
