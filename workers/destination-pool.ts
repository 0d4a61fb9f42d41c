import { PipelineError } from '../core/errors.ts';
import type { ConnectorSettings } from '../core/configuration.ts';
import type { DestinationPool, OpenDestination } from '../activities/dependencies.ts';
import { destinationModule } from '../connectors/registry.ts';
import type { CatalogConfiguration } from './configuration-reader.ts';

export interface DestinationPoolOptions {
  readonly configuration: CatalogConfiguration;
  readonly installation: string;
  /** URL of the embedded server without a database; a destination without `url` lives below it. */
  readonly warehouseBaseUrl: string | undefined;
}

/** Keeps one open destination per name; a changed configuration opens it anew. */
export class OpenDestinations implements DestinationPool, AsyncDisposable {
  readonly #options: DestinationPoolOptions;
  readonly #closing = new AbortController();
  readonly #tried = new Set<string>();
  readonly #open = new Map<
    string,
    { readonly settings: string; readonly opened: Promise<OpenDestination> }
  >();

  constructor(options: DestinationPoolOptions) {
    this.#options = options;
  }

  async typeOf(name: string): Promise<string> {
    return (await this.#settings(name)).type;
  }

  async open(name: string): Promise<OpenDestination> {
    const settings = await this.#settings(name);
    const key = JSON.stringify(settings);
    const found = this.#open.get(name);
    if (found?.settings === key) return found.opened;
    const opened = this.#connect(name, settings);
    this.#open.set(name, { settings: key, opened });
    opened.catch(() => this.#open.delete(name));
    found?.opened
      .then(({ destination }) => destination[Symbol.asyncDispose]())
      .catch(() => undefined); // it never opened, or cannot be closed in order: nothing to keep
    return opened;
  }

  beginTrial(name: string): Disposable | null {
    if (this.#tried.has(name)) return null;
    this.#tried.add(name);
    return { [Symbol.dispose]: () => void this.#tried.delete(name) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const all = [...this.#open.values()].map(({ opened }) => opened);
    for (const opened of await Promise.allSettled(all)) {
      if (opened.status === 'fulfilled') await opened.value.destination[Symbol.asyncDispose]();
    }
  }

  async #settings(name: string): Promise<ConnectorSettings> {
    const { destinations } = await this.#options.configuration.current();
    const settings = destinations[name];
    if (settings) return settings;
    throw new PipelineError('not-found', `destination ${name} is not in the applied configuration`);
  }

  async #connect(name: string, { type, ...settings }: ConnectorSettings): Promise<OpenDestination> {
    const module = await destinationModule(type);
    const { installation, warehouseBaseUrl } = this.#options;
    const defaultUrl = warehouseBaseUrl && `${warehouseBaseUrl}/${name}`;
    const destination = await module.open(module.settings.parse(settings), {
      name,
      installation,
      defaultUrl,
    });
    await destination.prepare(this.#closing.signal);
    return { type, naming: module.naming, destination };
  }
}
