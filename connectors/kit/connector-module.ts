import type { ZodType } from 'zod';
import type { CopyFormat, Destination } from '../../core/destination.ts';
import type { IntakeReader, IntakeRules } from '../../core/intake.ts';
import type { NamingRule, RowEncoding } from '../../core/mapping.ts';
import type { ReplayableSource } from '../../core/source.ts';

/**
 * Settings of a connector, checked by its schema. `type` is the registry's and is taken off before;
 * every other key of the block in `millrace.yaml` arrives here.
 */
export type SettingsSchema<Settings> = ZodType<Settings>;

export interface SourceContext {
  /** Name of the source in the configuration. */
  readonly name: string;
  /** Folder of the configuration file: relative paths begin here. */
  readonly configDir: string;
  /** Milliseconds since 1970. */
  now(): number;
  /** What was received from sources that cannot be read again. */
  readonly intake?: IntakeReader;
  /** Its database in the embedded server, for the source that the demo fills. */
  readonly defaultUrl?: string | undefined;
}

/** One kind of source: what `type:` in `millrace.yaml` chooses. */
export interface SourceModule<Settings = unknown> {
  readonly settings: SettingsSchema<Settings>;
  /** An event may arrive twice, with one id: destinations remember the ids. */
  readonly mayResend?: boolean;
  /** What was planned stays as it is until it is settled: it is its own extract. */
  readonly keepsRanges?: boolean;
  /** Formats in which `copyRows` writes whole rows for a destination that takes them. */
  readonly copyFormats?: readonly CopyFormat[];
  /** Events are posted to it: how requests are treated. */
  intakeRules?(settings: Settings, source: string): IntakeRules;
  /** Whether its settings leave open where it is: only the demo's may. */
  isPlaceless?(settings: Settings): boolean;
  /** @throws PipelineError `invalid-config`, `source-unavailable` */
  open(settings: Settings, context: SourceContext): Promise<ReplayableSource>;
}

export interface DestinationContext {
  /** Name of the destination in the configuration. */
  readonly name: string;
  /** Born with the catalog; part of every ledger key. */
  readonly installation: string;
  /** Its database in the embedded server, for connectors whose settings name none. */
  readonly defaultUrl?: string | undefined;
}

/** One kind of destination. `naming` and `encoding` are pure: threads use them without connecting. */
export interface DestinationModule<Settings = unknown> {
  readonly settings: SettingsSchema<Settings>;
  readonly naming: NamingRule;
  readonly encoding: RowEncoding;
  /** Formats that `pipe` takes. */
  readonly copyFormats?: readonly CopyFormat[];
  /** @throws PipelineError `invalid-config` when nothing says where it is */
  open(settings: Settings, context: DestinationContext): Promise<Destination>;
  /**
   * Where the rows will be, as text that is equal for two destinations in one place. Null: in the
   * embedded server.
   */
  placeOf(settings: Settings): string | null;
}
