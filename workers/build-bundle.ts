import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { writeBundle } from './workflow-bundle.ts';

/** `node workers/build-bundle.ts PATH`: bundles the workflows into one file. */
const path = process.argv[2];
if (path === undefined) throw new Error('usage: build-bundle.ts PATH');
const workflowsPath = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));
const quiet = () => undefined;
const logger = {
  log: quiet,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: console.error,
};
const { code } = await bundleWorkflowCode({ workflowsPath, logger });
await writeBundle(path, code);
