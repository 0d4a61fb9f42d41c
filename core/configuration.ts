/** `millrace.yaml`, checked and complete. Connector settings keep their own shape. */
export interface Configuration {
  readonly destinations: Readonly<Record<string, ConnectorSettings>>;
  readonly sources: Readonly<Record<string, ConnectorSettings>>;
  readonly pipelines: Readonly<Record<string, PipelineSettings>>;
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
}

export const emptyConfiguration: Configuration = { destinations: {}, sources: {}, pipelines: {} };
