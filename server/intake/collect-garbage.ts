import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/**
 * Node frees buffers late: of memory outside its heap tens of MiB may be dead before it looks. Where
 * much was received at once this makes it look.
 */
export function collectGarbage(): void {
  gc();
}
