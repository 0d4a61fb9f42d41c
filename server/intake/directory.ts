import { timingSafeEqual } from 'node:crypto';
import type { Configuration } from '../../core/configuration.ts';
import type { IntakeRules } from '../../core/intake.ts';
import { isPipelineError, PipelineError } from '../../core/errors.ts';
import { sourceModule } from '../../connectors/registry.ts';
import type { Queryable } from '../../store/catalog/catalog.ts';
import { readConfiguration, readConfigurationVersion } from '../../store/catalog/configurations.ts';
import { hashToken, listTokens } from '../../store/catalog/source-tokens.ts';

export interface KnownSource {
  readonly name: string;
  readonly type: string;
  /** Null: nothing can be posted to a source of this type. */
  readonly rules: IntakeRules | null;
  readonly hasPipeline: boolean;
}

interface KnownToken {
  readonly source: string;
  readonly hash: Buffer;
  readonly expiresAt: number;
}

/**
 * Who may send what, kept in memory: a request costs no query, and while the catalog is away it is
 * answered with 503, not with 401.
 */
export class SourceDirectory {
  readonly #catalog: Queryable;
  readonly #secretKey: Uint8Array;
  #version = -1;
  #sources = new Map<string, KnownSource>();
  #tokens: readonly KnownToken[] = [];

  constructor(catalog: Queryable, secretKey: Uint8Array) {
    this.#catalog = catalog;
    this.#secretKey = secretKey;
  }

  /** Brings it up to date. */
  async refresh(): Promise<void> {
    const version = await readConfigurationVersion(this.#catalog);
    const tokens = await listTokens(this.#catalog);
    if (version !== this.#version) {
      const applied = await readConfiguration(this.#catalog, this.#secretKey);
      this.#sources = applied ? await readSources(applied.configuration) : new Map();
      this.#version = version;
    }
    this.#tokens = tokens.map(({ source, sha256, expiresAt }) => ({
      source,
      hash: Buffer.from(sha256, 'hex'),
      expiresAt: expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(expiresAt),
    }));
  }

  /** @throws PipelineError `catalog-unavailable` until it was read once */
  find(name: string): KnownSource | undefined {
    if (this.#version >= 0) return this.#sources.get(name);
    throw new PipelineError('catalog-unavailable', 'the catalog database was not reached yet');
  }

  /** The source that a token is for; null where it is for none. */
  ownerOf(token: string): string | null {
    const hash = Buffer.from(hashToken(token), 'hex');
    const now = Date.now();
    const found = this.#tokens.find(
      (one) => timingSafeEqual(one.hash, hash) && one.expiresAt > now,
    );
    return found?.source ?? null;
  }
}

async function readSources(configuration: Configuration): Promise<Map<string, KnownSource>> {
  const inUse = new Set(Object.values(configuration.pipelines).map(({ source }) => source));
  const known = new Map<string, KnownSource>();
  for (const [name, { type, ...settings }] of Object.entries(configuration.sources)) {
    const rules = await rulesOf(name, type, settings);
    known.set(name, { name, type, rules, hasPipeline: inUse.has(name) });
  }
  return known;
}

async function rulesOf(name: string, type: string, settings: unknown): Promise<IntakeRules | null> {
  try {
    const module = await sourceModule(type);
    return module.intakeRules?.(module.settings.parse(settings), name) ?? null;
  } catch (error) {
    if (isPipelineError(error, 'invalid-config')) return null; // of a newer version of Millrace
    throw error;
  }
}
