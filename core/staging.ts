export interface StagedFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Files that a batch leaves between its steps. Names are `/`-separated; an attempt writes below a
 * name of its own, and a row in the catalog decides which attempt counts.
 */
export interface Staging {
  /**
   * Writes a file that did not exist; durable when the promise resolves, absent until then.
   * @throws PipelineError `staging-unavailable` (disk full and the like); `conflict` when it exists.
   */
  put(name: string, content: AsyncIterable<Uint8Array>): Promise<StagedFile>;
  /**
   * Bytes `from`..`to` of a file (all of it by default), in chunks.
   * @throws PipelineError `extract-lost` when there is no such file or it is shorter.
   */
  get(name: string, from?: number, to?: number): AsyncIterable<Uint8Array>;
  /** Deletes everything below a name. Nothing there is fine. */
  delete(prefix: string): Promise<void>;
  /** First-level names below a prefix with their total bytes and the time of the last change (ms). */
  list(prefix: string): Promise<readonly { name: string; bytes: number; changedAt: number }[]>;
  /** Bytes free where the files lie; Infinity where there is no such limit. */
  freeBytes(): Promise<number>;
}
