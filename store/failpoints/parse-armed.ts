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

const form =
  /^(?<name>[a-z-]+)=(?<action>[a-z]+(?::\d+m?s)?)(?:@(?<first>[1-9]\d*))?(?:\*(?<times>[1-9]\d*))?$/;
const kinds = /^(?:exit|throw|stop|(?:stop|delay):(?<length>\d+)(?<unit>m?s))$/;

export function parseArmedList(text: string): readonly ArmedFailpoint[] {
  const parts = text.split(',').map((part) => part.trim());
  return parts.filter(Boolean).map((part) => parseArmed(part));
}

/** @throws Error that says how it is written */
export function parseArmed(text: string, id?: string): ArmedFailpoint {
  const { name = '', action: wanted = '', first, times } = form.exec(text.trim())?.groups ?? {};
  const action = toAction(wanted);
  if (action === null || !isFailpoint(name)) {
    throw new Error(
      `"${text}" is no failpoint: write NAME=ACTION with a name of core/failpoints.ts and one of exit, stop, stop:2s, delay:500ms, throw; then @3 for the third hit, *2 for two of them`,
    );
  }
  return { id: id ?? name, name, action, first: Number(first ?? 1), times: Number(times ?? 1) };
}

function toAction(text: string): FailpointAction | null {
  const found = kinds.exec(text);
  if (!found) return null;
  const { length, unit } = found.groups ?? {};
  const ms = length === undefined ? null : Number(length) * (unit === 's' ? 1_000 : 1);
  if (text === 'exit' || text === 'throw') return { kind: text };
  return text.startsWith('delay') ? { kind: 'delay', ms: ms ?? 0 } : { kind: 'stop', ms };
}

function isFailpoint(name: string): name is Failpoint {
  return Object.hasOwn(failpoints, name);
}
