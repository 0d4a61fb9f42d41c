import { z } from 'zod';
import type { DemoSettings, PipelineSettings } from '../../core/configuration.ts';

/** PUT /v1/configuration */
export const applyBody = z.strictObject({
  /** `millrace.yaml` as data, with environment variables filled in. */
  configuration: z.unknown(),
  /** Absolute: relative paths of sources begin here. */
  configDir: z.string().startsWith('/', 'must be an absolute path'),
});

export interface ApplyAnswer {
  readonly version: number;
  /** False: the same configuration was in force already. */
  readonly changed: boolean;
  /** Of sources that are new and can be posted to: shown here and never again. */
  readonly tokens: Readonly<Record<string, string>>;
}

/** GET /v1/configuration: names and types; settings may hold passwords and stay here. */
export interface ConfigurationAnswer {
  /** 0: none was applied yet. */
  readonly version: number;
  readonly appliedAt: string | null;
  readonly configDir: string | null;
  readonly sources: Readonly<Record<string, string>>;
  readonly destinations: Readonly<Record<string, string>>;
  readonly pipelines: Readonly<Record<string, PipelineSettings>>;
  readonly demo: DemoSettings;
}
