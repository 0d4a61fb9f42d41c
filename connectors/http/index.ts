import { must } from '../../core/errors.ts';
import type { SourceModule } from '../kit/connector-module.ts';
import { IntakeSource } from '../kit/intake-source.ts';
import { httpSettings, toRules, type HttpSettings } from './settings.ts';

export const httpSource: SourceModule<HttpSettings> = {
  settings: httpSettings,
  mayResend: true,
  keepsRanges: true,
  intakeRules: (settings, source) => toRules(source, settings),
  open: async (_settings, { name, intake }) => new IntakeSource(name, must(intake, 'the intake')),
};
