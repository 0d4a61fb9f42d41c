import { z } from 'zod';
import {
  destinationModule,
  destinationTypes,
  sourceModule,
  sourceTypes,
} from '../connectors/registry.ts';
import { documentShape } from './document-shape.ts';

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly [key: string]: unknown;
}

/** JSON Schema of `millrace.yaml`, connectors included: for editors, and for "did you mean". */
export async function configurationJsonSchema(): Promise<JsonSchema> {
  const schema = toSchema(documentShape);
  const sources = await Promise.all(
    sourceTypes.map(async (type) => withType(type, (await sourceModule(type)).settings)),
  );
  const destinations = await Promise.all(
    destinationTypes.map(async (type) => withType(type, (await destinationModule(type)).settings)),
  );
  const { properties = {} } = schema;
  return {
    ...schema,
    title: 'millrace.yaml',
    properties: {
      ...properties,
      sources: { ...properties['sources'], additionalProperties: { anyOf: sources } },
      destinations: {
        ...properties['destinations'],
        additionalProperties: { anyOf: destinations },
      },
    },
  };
}

/** Names that may stand where an unknown one stands. */
export async function settingsAt(
  path: readonly (string | number)[],
  typeOf: (section: string, name: string) => string | undefined,
): Promise<readonly string[]> {
  const [section, name] = path.map(String);
  if (section === undefined || path.length === 1) return Object.keys(documentShape.shape);
  if (section === 'pipelines' || section === 'demo') return ownSettingsAt(path);
  const type = typeOf(section, name ?? '');
  if (type === undefined || path.length > 3) return [];
  return connectorSettings(section, type);
}

async function connectorSettings(section: string, type: string): Promise<readonly string[]> {
  const find = section === 'sources' ? sourceModule : destinationModule;
  const module = await find(type).catch(() => null);
  return module ? ['type', ...Object.keys(toSchema(module.settings).properties ?? {})] : [];
}

/** Where no connector has a say. */
function ownSettingsAt(path: readonly (string | number)[]): readonly string[] {
  if (path[0] === 'demo') return ['events', 'database'];
  if (path[2] === 'streams' && path.length > 3) return ['write', 'key', 'version'];
  return ['source', 'destinations', 'schedule', 'write', 'streams'];
}

function withType(type: string, settings: z.ZodType): JsonSchema {
  const schema = toSchema(settings);
  const required = Array.isArray(schema['required']) ? (schema['required'] as string[]) : [];
  return {
    ...schema,
    properties: { type: { const: type }, ...schema.properties },
    required: ['type', ...required],
  };
}

function toSchema(shape: z.ZodType): JsonSchema {
  return z.toJSONSchema(shape, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
}
