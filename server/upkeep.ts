import { isPipelineError } from '../core/errors.ts';
import { listPaused } from '../store/catalog/pauses.ts';
import { applySchedules, type WantedSchedule } from '../temporal/schedules.ts';
import { assertTemporal } from '../temporal/upkeep.ts';
import { readCurrent, type ServerContext } from './context.ts';

const longestPauseMs = 60_000;

/**
 * Keeps Temporal as it should be, from outside of it: search attributes, retention, schedules. A
 * Temporal that lost everything is mended within a round, and `maintain` then starts the rest.
 * `onConflict` is told when the namespace belongs to another installation; the rounds end then.
 */
export function startUpkeep(
  context: ServerContext,
  onConflict: (message: string) => void,
): Disposable {
  const pauseMs = Math.min(longestPauseMs, context.environment.maintainEveryMs);
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const round = async () => {
    try {
      await keepUp(context);
      if (!stopped) timer = setTimeout(() => void round(), pauseMs);
    } catch (error) {
      onConflict(error instanceof Error ? error.message : String(error));
    }
  };
  void round();
  return {
    [Symbol.dispose]() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/**
 * One round after the other: an older one must not undo what a newer configuration did.
 * @throws PipelineError `conflict` only; whatever else fails is noted, logged and tried again.
 */
export async function keepUp(context: ServerContext): Promise<void> {
  const before = rounds.get(context) ?? Promise.resolve();
  const round = before.catch(() => undefined).then(() => keepUpOnce(context));
  rounds.set(context, round);
  return round;
}

const rounds = new WeakMap<ServerContext, Promise<void>>();

async function keepUpOnce(context: ServerContext): Promise<void> {
  const { temporal, installation, environment, log } = context;
  try {
    const schedules = await wantedSchedules(context);
    const { maintainEveryMs } = environment;
    await temporal.use(async (access) => {
      await assertTemporal(access, { installation, maintainEveryMs });
      await applySchedules(access, schedules);
    });
    temporal.note(null);
  } catch (error) {
    const before = temporal.health.message;
    temporal.note(error);
    if (isPipelineError(error, 'conflict')) throw error;
    const { message } = temporal.health;
    if (message !== before) log.warn({ message }, 'upkeep of Temporal failed');
  }
}

async function wantedSchedules(context: ServerContext): Promise<readonly WantedSchedule[]> {
  const { pipelines } = await readCurrent(context);
  const paused = new Set((await listPaused(context.catalog)).map(({ source }) => source));
  return Object.entries(pipelines).flatMap(([pipeline, { source, destinations, everyMs }]) =>
    everyMs === undefined
      ? []
      : [{ pipeline, source, destinations, everyMs, paused: paused.has(source) }],
  );
}
