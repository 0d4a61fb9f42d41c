import type { ConnectorSettings } from '../../core/configuration.ts';
import type { Mapping, StreamProfile } from '../../core/mapping.ts';
import type { PositionRange } from '../../core/positions.ts';
import type { RecordLimits } from '../../core/records.ts';
import type { StagedFile } from '../../core/staging.ts';
import type { InPlaceExtract } from './in-place-extract.ts';

/** Where the records of a task come from. */
export type BlockInput =
  | {
      readonly kind: 'source';
      readonly source: string;
      readonly settings: ConnectorSettings;
      readonly configDir: string;
      readonly range: PositionRange;
      readonly lane: { readonly name: string; readonly memo: string };
      /** Only records of this one, where the lane holds several. */
      readonly stream?: string;
    }
  | { readonly kind: 'frames'; readonly file: StagedFile }
  | ({ readonly kind: 'in-place' } & InPlaceExtract);

/** One destination that the records are to be mapped for. */
export interface TaskTarget {
  readonly destination: string;
  readonly destinationType: string;
  readonly mappings: readonly Mapping[];
  /** Stage the ids and hashes of all events: the source may send one twice. */
  readonly eventIds: boolean;
  /** See `MapTarget`: what is mapped now stays so. */
  readonly parksUnmapped?: boolean;
}

/** One pass over the records of a batch. Plain data: it crosses to a worker thread. */
export interface BlockTask {
  readonly batchId: string;
  readonly input: BlockInput;
  readonly stagingRoot: string;
  /** Staged names of this attempt begin with this. */
  readonly prefix: string;
  /** Stage the records themselves, and profile every event. */
  readonly extract: boolean;
  /** The source keeps what is read: of the records only the hash is taken. */
  readonly inPlace?: boolean;
  readonly targets: readonly TaskTarget[];
  readonly limits: RecordLimits;
}

/** Load files of one destination, as staged in its `load.json`. */
export interface LoadFiles {
  readonly parts: readonly LoadPartFiles[];
  readonly failuresFile: StagedFile | null;
  /** See `EncodedIds`; null where events cannot come twice. */
  readonly idsFile: StagedFile | null;
  readonly rows: number;
  readonly failures: number;
  readonly failedSha256: string;
}

export interface LoadPartFiles {
  readonly stream: string;
  readonly rowsFile: StagedFile;
  /** Ordinals of the rows, as consecutive unsigned 32-bit integers. */
  readonly ordinalsFile: StagedFile;
  readonly rowCount: number;
  /** `hashLayout` of the mapping that made the rows. */
  readonly layout: string;
}

export interface MappedTarget {
  readonly destination: string;
  readonly loadManifest: string;
  readonly rows: number;
  readonly failures: number;
  /** Events with a field or stream that the mapping does not know. */
  readonly unmappedEvents: number;
}

export interface BlockTaskResult {
  /** The staged records, where `extract` was asked for. */
  readonly records: StagedFile | null;
  readonly events: number;
  readonly eventBytes: number;
  readonly profile: readonly StreamProfile[];
  readonly targets: readonly MappedTarget[];
}
