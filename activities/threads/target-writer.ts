import type { EventFailure } from '../../core/failed-events.ts';
import { eventIdOf, recordBytes, versionOf, type RecordBlock } from '../../core/records.ts';
import type { RowEncoding } from '../../core/mapping.ts';
import type { Staging } from '../../core/staging.ts';
import { must } from '../../core/errors.ts';
import { hashLayout } from '../../pipeline/batches/row-layout.ts';
import { createFailuresHash } from '../../pipeline/batches/failures-hash.ts';
import type { EncodedPart, TargetOutput } from '../../pipeline/mapping/block-output.ts';
import type { LoadFiles, LoadPartFiles, MappedTarget, TaskTarget } from './block-task.ts';
import { encodeFailure } from './failure-file.ts';
import { IdsWriter } from './ids-writer.ts';
import { createStagedStream, type StagedStream } from './staged-stream.ts';

const smallBytes = 64 * 1024;

type IndexedFailure = EventFailure & { readonly index: number };

interface Part {
  readonly stream: string;
  readonly rows: StagedStream;
  readonly ordinals: StagedStream;
  rowCount: number;
}

/** Stages the load files and failure records of one destination while a batch passes by. */
export class TargetWriter {
  readonly #staging: Staging;
  readonly #prefix: string;
  readonly #target: TaskTarget;
  readonly #parts = new Map<string, Part>();
  readonly #hash = createFailuresHash();
  readonly #ids: IdsWriter | null;
  #failureStream: StagedStream | null = null;
  #failures = 0;
  #unmappedEvents = 0;

  constructor(
    staging: Staging,
    prefix: string,
    { encoding, ...target }: TaskTarget & { readonly encoding: RowEncoding },
  ) {
    this.#staging = staging;
    this.#prefix = `${prefix}/${target.destination}`;
    this.#target = target;
    const ids = () => createStagedStream(staging, `${this.#prefix}/ids`);
    this.#ids = target.eventIds ? new IdsWriter(ids(), encoding) : null;
  }

  async write(block: RecordBlock, parse: readonly IndexedFailure[], output: TargetOutput) {
    for (const part of output.parts) await this.#writePart(part);
    const failures = [...parse, ...output.failures].sort((a, b) => a.index - b.index);
    if (failures.length > 0) await this.#writeFailures(block, failures);
    this.#unmappedEvents += output.unmappedEvents;
    await this.#ids?.write(block);
  }

  async close(): Promise<MappedTarget> {
    const parts: LoadPartFiles[] = [];
    for (const { stream, rows, ordinals, rowCount } of this.#parts.values()) {
      const [rowsFile, ordinalsFile] = [await rows.close(), await ordinals.close()];
      parts.push({ stream, rowsFile, ordinalsFile, rowCount, layout: this.#layoutOf(stream) });
    }
    const rows = parts.reduce((sum, { rowCount }) => sum + rowCount, 0);
    const loadManifest = `${this.#prefix}/load.json`;
    await this.#writeManifest(loadManifest, {
      parts,
      failuresFile: (await this.#failureStream?.close()) ?? null,
      idsFile: (await this.#ids?.close()) ?? null,
      rows,
      failures: this.#failures,
      failedSha256: this.#hash.digest(),
    });
    return {
      destination: this.#target.destination,
      loadManifest,
      rows,
      failures: this.#failures,
      unmappedEvents: this.#unmappedEvents,
    };
  }

  #layoutOf(stream: string): string {
    const mapping = this.#target.mappings.find((candidate) => candidate.stream === stream);
    return hashLayout(must(mapping, 'the mapping of staged rows'));
  }

  abort(reason: unknown): void {
    for (const part of this.#parts.values()) {
      part.rows.abort(reason);
      part.ordinals.abort(reason);
    }
    this.#failureStream?.abort(reason);
    this.#ids?.abort(reason);
  }

  async #writePart({ stream, bytes, ordinals }: EncodedPart): Promise<void> {
    if (ordinals.length === 0) return;
    const part = this.#parts.get(stream) ?? this.#addPart(stream);
    part.rowCount += ordinals.length;
    await part.rows.write(bytes);
    await part.ordinals.write(new Uint8Array(ordinals.slice().buffer));
  }

  #addPart(stream: string): Part {
    const base = `${this.#prefix}/${this.#parts.size}`;
    const part = {
      stream,
      rows: createStagedStream(this.#staging, `${base}.rows`),
      ordinals: createStagedStream(this.#staging, `${base}.ordinals`),
      rowCount: 0,
    };
    this.#parts.set(stream, part);
    return part;
  }

  async #writeFailures(block: RecordBlock, failures: readonly IndexedFailure[]): Promise<void> {
    this.#failureStream ??= createStagedStream(this.#staging, `${this.#prefix}/failures`);
    for (const portion of joinSmall(failures.flatMap((failure) => this.#encode(block, failure)))) {
      await this.#failureStream.write(portion);
    }
  }

  #encode(block: RecordBlock, { index, ...failure }: IndexedFailure): readonly Uint8Array[] {
    this.#failures += 1;
    this.#hash.add(failure);
    const mapping = this.#target.mappings.find(({ stream }) => stream === block.stream);
    return encodeFailure({
      ...failure,
      stream: block.stream,
      eventId: eventIdOf(block, index),
      raw: recordBytes(block, index),
      context: block.context,
      lineNumber: block.lineNumbers?.[index],
      version: versionOf(block, index),
      mappingVersion: failure.stage === 'map' ? mapping?.version : undefined,
    });
  }

  async #writeManifest(name: string, files: LoadFiles): Promise<void> {
    const stream = createStagedStream(this.#staging, name);
    await stream.write(Buffer.from(JSON.stringify(files)));
    await stream.close();
  }
}

/** A write costs more than a copy, until pieces are large. */
function* joinSmall(pieces: readonly Uint8Array[]): Iterable<Uint8Array> {
  let small: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece.length <= smallBytes) {
      small.push(piece);
      continue;
    }
    if (small.length > 0) yield Buffer.concat(small);
    yield piece;
    small = [];
  }
  if (small.length > 0) yield Buffer.concat(small);
}
