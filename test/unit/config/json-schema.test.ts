import { expect, test } from 'vitest';
import { configurationJsonSchema, settingsAt } from '../../../config/json-schema.ts';

test('the JSON Schema knows the settings of every connector', async () => {
  const schema = await configurationJsonSchema();
  expect(schema).toMatchObject({
    type: 'object',
    additionalProperties: false,
    properties: {
      sources: {
        additionalProperties: {
          anyOf: [
            { required: ['type'], properties: { type: { const: 'file' }, path: {}, streams: {} } },
            { required: ['type'], properties: { type: { const: 'http' }, eventTypeField: {} } },
            {
              required: ['type', 'tables'],
              properties: { type: { const: 'postgres' }, url: {}, exclude: {} },
            },
          ],
        },
      },
      destinations: {
        additionalProperties: { anyOf: [{ properties: { type: { const: 'postgres' }, url: {} } }] },
      },
      pipelines: {
        additionalProperties: {
          required: ['source', 'destinations'],
          properties: { schedule: {} },
        },
      },
    },
  });
});

test('what may stand at a place depends on the type that stands beside it', async () => {
  const typeOf = () => 'postgres';
  expect(await settingsAt(['destinations', 'x', 'ulr'], typeOf)).toEqual(['type', 'url', 'grants']);
  expect(await settingsAt(['surces'], typeOf)).toEqual([
    'destinations',
    'sources',
    'pipelines',
    'demo',
  ]);
  expect(await settingsAt(['sources', 'x', 'y'], () => undefined)).toEqual([]);
});
