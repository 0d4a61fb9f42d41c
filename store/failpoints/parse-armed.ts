import { failpoints, type Failpoint } from '../../core/failpoints.ts';

export type FailpointAction =
  /** Ends the process like SIGKILL. */
  | { readonly kind: 'exit' }
  /** Makes it stand still like SIGSTOP: for so long, or until somebody wakes it. */
  | { readonly kind: 'stop'; readonly ms: number | null }
  /** Only this step waits, everything else of the process goes on. */
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'throw' };

export interface ArmedFailpoint {
  /** Its hits are counted under this name. */
  readonly id: string;
  readonly name: Failpoint;
  readonly action: FailpointAction;
  /** The first hit that it acts on, from 1. */
  readonly first: number;
  /** How many hits it acts on. */
  readonly times: number;
}

const form = /^([a-z-]+)=(exit|stop|throw|delay)(?::(\d+)(ms|s))?(?:@(\d+))?(?:\*(\d+))?$/;

export function parseArmedList(text: string): readonly ArmedFailpoint[] {
  const parts = text.split(',').map((part) => part.trim());
  return parts.filter(Boolean).map((part) => parseArmed(part));
}

/** @throws Error that says how it is written */
export function parseArmed(text: string, id?: string): ArmedFailpoint {
  const [, name = '', kind = '', length, unit, first = '1', times = '1'] =
    form.exec(text.trim()) ?? [];
  const ms = length === undefined ? null : Number(length) * (unit === 's' ? 1_000 : 1);
  const action = toAction(kind, ms);
  if (action === null || !isFailpoint(name) || Number(first) < 1 || Number(times) < 1) {
    throw new Error(
      `"${text}" is no failpoint: write NAME=ACTION with a name of core/failpoints.ts and one of exit, stop, stop:2s, delay:500ms, throw; then @3 for the third hit, *2 for two of them`,
    );
  }
  return { id: id ?? name, name, action, first: Number(first), times: Number(times) };
}

function toAction(kind: string, ms: number | null): FailpointAction | null {
  if (kind === 'stop') return { kind, ms };
  if (kind === 'delay') return ms === null ? null : { kind, ms };
  if (kind === 'exit' || kind === 'throw') return ms === null ? { kind } : null;
  return null;
}

function isFailpoint(name: string): name is Failpoint {
  return Object.hasOwn(failpoints, name);
}
