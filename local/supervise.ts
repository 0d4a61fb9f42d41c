import { isPipelineError } from '../core/errors.ts';
import type { InstanceInfo } from './instance.ts';
import { up, type UpOptions } from './up.ts';

/** What a detached supervisor tells the process that started it. */
export type SuperviseMessage =
  | { readonly progress: string }
  | { readonly owned: boolean; readonly info: InstanceInfo }
  | { readonly kind: string; readonly message: string };

/** Main program of `up --detach`: `node local/supervise.ts OPTIONS`, options of `up` as JSON. */
async function main(argument: string): Promise<void> {
  const options: UpOptions = JSON.parse(argument);
  try {
    const instance = await up({ ...options, onProgress: (progress) => tell({ progress }) });
    tell({ owned: instance.owned, info: instance.info });
    if (process.connected) process.disconnect();
    if (instance.owned) await instance.stopped;
  } catch (error) {
    console.error(error);
    const kind = isPipelineError(error) ? error.kind : 'internal';
    tell({ kind, message: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
  }
}

/** The other side may be gone; we go on without it. */
function tell(message: SuperviseMessage): void {
  if (process.connected) process.send?.(message, () => undefined);
}

process.on('disconnect', () => undefined);
await main(process.argv[2] ?? '{}');
