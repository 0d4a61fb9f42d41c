import type { DestinationModule, SourceModule } from '../kit/connector-module.ts';
import { PostgresDestination } from './destination.ts';
import { copyTextEncoding } from './encoding.ts';
import { postgresNaming } from './naming.ts';
import { PostgresSource } from './source.ts';
import { postgresSourceSettings, type PostgresSourceSettings } from './source/settings.ts';
import { placeOf, postgresSettings, requireUrl, type PostgresSettings } from './settings.ts';

export const postgresDestination: DestinationModule<PostgresSettings> = {
  settings: postgresSettings,
  naming: postgresNaming,
  encoding: copyTextEncoding,
  copyFormats: ['postgres-text'],
  placeOf,
  async open(settings, { name, installation, defaultUrl }) {
    const url = requireUrl(settings, `destination ${name}`, defaultUrl);
    const embedded = settings.url === undefined;
    const { grants } = settings;
    return new PostgresDestination({ url, name, installation, embedded, grants });
  },
};

export const postgresSource: SourceModule<PostgresSourceSettings> = {
  settings: postgresSourceSettings,
  copyFormats: ['postgres-text'],
  isPlaceless: ({ url }) => url === undefined,
  open: async (settings, { name, defaultUrl }) =>
    new PostgresSource(name, {
      ...settings,
      url: requireUrl(settings, `source ${name}`, defaultUrl),
    }),
};
