/** The workflows of Millrace. Nothing else: the bundle starts here. */
export { backfillSource } from './backfill-source.ts';
export { maintain } from './maintain.ts';
export { processBatch } from './process-batch.ts';
export { restream } from './restream.ts';
export { reviewFailures } from './review-failures.ts';
export { syncSource } from './sync-source.ts';
