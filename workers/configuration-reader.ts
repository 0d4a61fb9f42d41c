import type { Configuration } from '../core/configuration.ts';
import { PipelineError } from '../core/errors.ts';
import type { ConfigurationReader, ConfiguredSource } from '../activities/dependencies.ts';
import type { Catalog } from '../store/catalog/catalog.ts';
import {
  readConfiguration,
  readConfigurationVersion,
  type AppliedConfiguration,
} from '../store/catalog/configurations.ts';

/** The newest applied configuration, decrypted once per version. */
export class CatalogConfiguration implements ConfigurationReader {
  readonly #catalog: Catalog;
  readonly #secretKey: Uint8Array;
  #applied: AppliedConfiguration | null = null;

  constructor(catalog: Catalog, secretKey: Uint8Array) {
    this.#catalog = catalog;
    this.#secretKey = secretKey;
  }

  async current(): Promise<Configuration> {
    return (await this.applied()).configuration;
  }

  async applied(): Promise<AppliedConfiguration> {
    const version = await readConfigurationVersion(this.#catalog);
    if (version !== this.#applied?.version) {
      this.#applied = await readConfiguration(this.#catalog, this.#secretKey);
    }
    if (!this.#applied) {
      throw new PipelineError(
        'not-found',
        'no configuration is applied: run apply with your millrace.yaml',
      );
    }
    return this.#applied;
  }

  async source(name: string): Promise<ConfiguredSource> {
    const { configuration, configDir } = await this.applied();
    const settings = configuration.sources[name];
    if (!settings) {
      throw new PipelineError('not-found', `source ${name} is not in the applied configuration`);
    }
    const pipelines = Object.values(configuration.pipelines);
    const pipeline = pipelines.find(({ source }) => source === name) ?? null;
    return { name, settings, configDir, pipeline };
  }
}
