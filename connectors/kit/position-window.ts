import type { Position } from '../../core/positions.ts';
import type { AskedWindow, PositionWindow } from '../../core/source.ts';

/** For sources that know no times: what is asked for are positions. `parse` refuses all others. */
export function positionWindow(
  { from, to }: AskedWindow,
  parse: (text: string) => Position,
): PositionWindow {
  return {
    ...(from !== undefined && { from: parse(from) }),
    ...(to !== undefined && { to: parse(to) }),
  };
}
