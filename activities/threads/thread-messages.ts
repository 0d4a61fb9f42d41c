import type { FailureKind } from '../../core/failures.ts';
import type { BlockTask, BlockTaskResult } from './block-task.ts';

/** What a thread is born with. */
export interface ThreadData {
  readonly catalogUrl: string;
  /** The embedded server, without a database. */
  readonly embeddedUrl: string | undefined;
}

export type ToThread =
  | { readonly kind: 'run'; readonly id: number; readonly task: BlockTask }
  | { readonly kind: 'abort'; readonly id: number };

export interface ThreadError {
  /** Null for what is no PipelineError. */
  readonly kind: FailureKind | null;
  readonly message: string;
  readonly details?: Readonly<Record<string, string | number>>;
}

export type ToMain =
  | {
      readonly kind: 'progress';
      readonly id: number;
      readonly progress: { rows: number; bytes: number };
    }
  | { readonly kind: 'done'; readonly id: number; readonly result: BlockTaskResult }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ThreadError };
