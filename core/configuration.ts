import type { FieldPath } from './field-types.ts';
import type { WriteMode } from './mapping.ts';

/** `millrace.yaml`, checked and complete. Connector settings keep their own shape. */
export interface Configuration {
  readonly destinations: Readonly<Record<string, ConnectorSettings>>;
  readonly sources: Readonly<Record<string, ConnectorSettings>>;
  readonly pipelines: Readonly<Record<string, PipelineSettings>>;
  readonly demo?: DemoSettings;
}

/** Sources that the demo feeds, by name. */
export interface DemoSettings {
  /** Events are posted to it. */
  readonly events?: string | undefined;
  /** It has no place of its own: the demo fills a database of the embedded server, and changes it. */
  readonly database?: string | undefined;
}

/** `type` chooses the connector; the rest is checked by the connector's own schema. */
export interface ConnectorSettings {
  readonly type: string;
  readonly [setting: string]: unknown;
}

export interface PipelineSettings {
  readonly source: string;
  readonly destinations: readonly string[];
  /** Milliseconds between syncs; absent: at `up` and on `sync`. */
  readonly everyMs?: number;
  /** For streams that say nothing of their own; absent: `merge` where there is a key. */
  readonly write?: WriteMode;
  /** By name. */
  readonly streams?: Readonly<Record<string, StreamSettings>>;
}

/** How one stream is written, where it differs from what its source declares. */
export interface StreamSettings {
  readonly write?: WriteMode;
  readonly key?: readonly FieldPath[];
  /** Field that says which row of a key is newer. */
  readonly version?: FieldPath;
}

export const emptyConfiguration: Configuration = { destinations: {}, sources: {}, pipelines: {} };
