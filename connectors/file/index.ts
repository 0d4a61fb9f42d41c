import type { SourceModule } from '../kit/connector-module.ts';
import { fileSettings, type FileSettings } from './settings.ts';
import { FileSource } from './source.ts';

export const fileSource: SourceModule<FileSettings> = {
  settings: fileSettings,
  open: async (settings, context) => new FileSource(settings, context),
};
