import { readEnvironment } from '../config/environment.ts';
import { Child, type ChildSpec } from './child.ts';
import {
  createEnvironment,
  createServerSpec,
  createWorkerSpec,
  type ChildCommands,
  type InstanceSettings,
} from './children.ts';
import { createDemoSpec, type DemoOptions } from './demo.ts';
import type { Home } from './home.ts';
import type { InstanceInfo } from './instance.ts';
import { choosePorts, type PortChoice, type Ports } from './ports.ts';
import { checkDatabase, databaseUrl, ensureDatabase } from './postgres-databases.ts';
import { choosePostgresPlace } from './postgres-place.ts';
import { preparePostgres } from './postgres.ts';
import type { StateFile } from './state-file.ts';
import { checkTemporalAddress, createTemporalSpec, farewell } from './temporal.ts';

export interface StartOptions {
  readonly ports: PortChoice;
  readonly embeddedDatabases: readonly string[];
  readonly demo?: DemoOptions | undefined;
  readonly commands: ChildCommands;
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: (message: string) => void;
}

const catalogName = 'millrace';

/**
 * Starts the parts of one instance in the order in which they need one another (Postgres and
 * Temporal, then worker and server), keeps them running, and stops them the other way round.
 */
export class Supervisor {
  readonly #home: Home;
  readonly #state: StateFile;
  readonly #options: StartOptions;
  readonly #children: Child[] = [];
  readonly #stopping = new AbortController();

  constructor(home: Home, state: StateFile, options: StartOptions) {
    this.#home = home;
    this.#state = state;
    this.#options = options;
  }

  /** @throws PipelineError when a part cannot be started; the caller then calls `stop`. */
  async start(): Promise<InstanceInfo> {
    const { env } = this.#options;
    const ports = await this.#choosePorts();
    const postgres = this.#needsPostgres() ? this.#startPostgres(ports) : undefined;
    await this.#allOrNone([postgres, this.#startTemporal(ports)]);
    const warehouseBaseUrl = await postgres;
    const settings: InstanceSettings = {
      catalogUrl: await this.#findCatalog(warehouseBaseUrl),
      temporalAddress: env.TEMPORAL_ADDRESS || `127.0.0.1:${ports.temporal}`,
      httpPort: ports.server,
      ...(warehouseBaseUrl && { warehouseBaseUrl }),
    };
    const info = await this.#describe(ports, settings);
    await this.#state.update({ info });
    await this.#startOwnChildren(settings);
    return info;
  }

  /**
   * Also gives up a start that is under way. Postgres and Temporal stop after server and worker,
   * because they write to them; Temporal waits no longer than it takes to report, as it is slow.
   */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const ours = this.#stop(isOurs);
    await Promise.all([
      farewell(ours).then(() => this.#stop(isTemporal)),
      ours.then(() => this.#stop(isPostgres)),
    ]);
  }

  async #stop(which: (child: Child) => boolean): Promise<void> {
    await Promise.all(this.#children.filter(which).map((child) => child.stop()));
  }

  /** The first failure ends the others; rejects when nothing of them goes on any more. */
  async #allOrNone(starts: readonly (Promise<unknown> | undefined)[]): Promise<void> {
    const failures: unknown[] = [];
    const noteFailure = async (error: unknown): Promise<void> => {
      failures.push(error);
      await this.stop();
    };
    await Promise.all(starts.map(async (start) => start?.catch(noteFailure)));
    if (failures.length > 0) throw failures[0];
  }

  #needsPostgres(): boolean {
    return !this.#options.env.DATABASE_URL || this.#databases().length > 0;
  }

  /** In the embedded server. */
  #databases(): readonly string[] {
    const { embeddedDatabases, demo } = this.#options;
    return demo?.database === undefined ? embeddedDatabases : [...embeddedDatabases, demo.database];
  }

  async #choosePorts(): Promise<Ports> {
    const needed: (keyof Ports)[] = ['server'];
    if (this.#needsPostgres()) needed.push('postgres');
    if (!this.#options.env.TEMPORAL_ADDRESS) needed.push('temporal', 'temporalUi');
    const ports = await choosePorts(this.#options.ports, this.#state.current.ports, needed);
    await this.#state.update({ ports });
    return ports;
  }

  /** @returns the URL of the embedded server, without a database */
  async #startPostgres(ports: Ports): Promise<string> {
    const { postgresData } = this.#state.current;
    const place = await choosePostgresPlace(this.#home.directory, postgresData, this.#options.env);
    await this.#state.update({ postgresData: place.data });
    const postgres = await preparePostgres(this.#home, place, {
      port: ports.postgres,
      signal: this.#stopping.signal,
    });
    await this.#startChild(postgres.spec);
    await postgres.completeRole();
    for (const name of this.#databases()) await ensureDatabase(postgres.baseUrl, name);
    return postgres.baseUrl;
  }

  async #startTemporal(ports: Ports): Promise<void> {
    const { env } = this.#options;
    if (env.TEMPORAL_ADDRESS) await checkTemporalAddress(env);
    else await this.#startChild(createTemporalSpec(this.#home, ports, env));
  }

  async #findCatalog(baseUrl: string | undefined): Promise<string> {
    const named = this.#options.env.DATABASE_URL;
    if (!named) return ensureDatabase(baseUrl ?? '', catalogName);
    await checkDatabase(named, 'DATABASE_URL');
    return named;
  }

  async #describe(ports: Ports, settings: InstanceSettings): Promise<InstanceInfo> {
    const { env, embeddedDatabases, demo } = this.#options;
    const { warehouseBaseUrl: base, catalogUrl, temporalAddress } = settings;
    const [first] = embeddedDatabases;
    const server = `http://127.0.0.1:${ports.server}`;
    const ownUi = `http://127.0.0.1:${ports.temporalUi}`;
    return {
      console: server,
      ingest: `${server}/v1/events`,
      temporal: temporalAddress,
      temporalUi: env.TEMPORAL_ADDRESS ? null : ownUi,
      catalogUrl,
      warehouseUrl: base === undefined || first === undefined ? null : databaseUrl(base, first),
      home: this.#home.directory,
      pid: process.pid,
      destinations: Object.fromEntries(
        embeddedDatabases.map((name) => [name, databaseUrl(base ?? '', name)]),
      ),
      tokens: {},
      ...(base !== undefined &&
        demo?.database !== undefined && { demoDatabaseUrl: databaseUrl(base, demo.database) }),
    };
  }

  async #startOwnChildren(settings: InstanceSettings): Promise<void> {
    const { commands, env } = this.#options;
    const childEnv = createEnvironment(this.#home, settings, env);
    readEnvironment(childEnv); // says here what the children would only write into their logs
    await this.#allOrNone([
      this.#startChild(createWorkerSpec(this.#home, commands.worker, childEnv)),
      this.#startChild(createServerSpec(this.#home, commands.server, childEnv)),
      this.#startDemo(childEnv),
    ]);
  }

  /** What is wrong with the demo must not keep Millrace from running. */
  async #startDemo(env: NodeJS.ProcessEnv): Promise<void> {
    const { demo, onProgress } = this.#options;
    if (demo === undefined) return;
    const onEnd = () => {
      if (demo.minutes > 0)
        onProgress('the demo has ended: "npm run millrace -- demo" goes on with it');
    };
    try {
      await this.#startChild(createDemoSpec(this.#home, demo, { env, onEnd }));
    } catch (error) {
      if (this.#stopping.signal.aborted) throw error;
      onProgress(
        `the demo does not run: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  async #startChild(spec: ChildSpec): Promise<void> {
    const { onProgress } = this.#options;
    this.#stopping.signal.throwIfAborted();
    const child = new Child(spec, (wrapper) => this.#state.noteChild(spec.name, wrapper));
    this.#children.push(child);
    onProgress(`starting ${spec.name}`);
    await child.start();
    onProgress(`${spec.name} is ready`);
  }
}

const isPostgres = (child: Child): boolean => child.name === 'Postgres';
const isTemporal = (child: Child): boolean => child.name === 'Temporal';
const isOurs = (child: Child): boolean => !isPostgres(child) && !isTemporal(child);
