import { PipelineError } from '../../core/errors.ts';
import type { Position } from '../../core/positions.ts';

/** A place in a file: its generation, the byte, and the line that begins there (from 0). */
export interface FilePosition {
  readonly generation: number;
  readonly offset: number;
  readonly line: number;
}

export const fileStart: FilePosition = { generation: 1, offset: 0, line: 0 };

/** A document that changes every second has a generation for each change. */
const generationDigits = 8;
const form = /^(\d{8})\.(\d{14})\.(\d{10})$/;

/** Fixed widths, so that positions sort as text. */
export function formatPosition({ generation, offset, line }: FilePosition): Position {
  return `${formatGeneration(generation)}.${pad(offset, 14)}.${pad(line, 10)}`;
}

export function formatGeneration(generation: number): string {
  return pad(generation, generationDigits);
}

/** @throws PipelineError `position-corrupt`; never starts from zero. */
export function parsePosition(position: Position): FilePosition {
  const match = form.exec(position);
  if (match) {
    return { generation: Number(match[1]), offset: Number(match[2]), line: Number(match[3]) };
  }
  throw new PipelineError(
    'position-corrupt',
    `"${position.slice(0, 40)}" is no position in a file: choose a position for the lane, nothing was read`,
  );
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
