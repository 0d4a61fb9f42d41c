import { z } from 'zod';
import { PipelineError } from '../../core/errors.ts';

/** What the catalog keeps of a file beside the position: enough to know it again. */
const memoShape = z.object({
  /** Below the root. A renamed file keeps its lane and changes this. */
  path: z.string(),
  generation: z.int(),
  /** Bytes planned so far. */
  head: z.number(),
  format: z.enum(['ndjson', 'json', 'csv']).optional(),
  csv: z.object({ columns: z.array(z.string()), delimiter: z.string() }).optional(),
  /** SHA-256 of the first min(4 KiB, head) bytes and of the 4 KiB before the head. */
  prefix: z.string().optional(),
  tail: z.string().optional(),
  /** SHA-256 of a whole document. */
  document: z.string().optional(),
  size: z.number().optional(),
  mtimeMs: z.number().optional(),
  inode: z.number().optional(),
  /** Bytes behind the head that rest and are no complete record. */
  unread: z.number().optional(),
  /** Seen now: the file at this path is another one, or was rewritten. */
  rewritten: z.boolean().optional(),
});

export type FileMemo = z.infer<typeof memoShape>;

export function newMemo(path: string): FileMemo {
  return { path, generation: 1, head: 0 };
}

export function formatMemo(memo: FileMemo): string {
  return JSON.stringify(memo);
}

/** @throws PipelineError `position-corrupt` */
export function parseMemo(text: string): FileMemo {
  try {
    return memoShape.parse(JSON.parse(text));
  } catch (cause) {
    throw new PipelineError('position-corrupt', 'the note on a file lane cannot be read', {
      cause,
    });
  }
}
