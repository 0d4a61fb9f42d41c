import { z } from 'zod';
import type { LaneState } from '../../store/catalog/lane-states.ts';

/** GET /v1/sources/:name/state */
export interface StateAnswer {
  readonly source: string;
  /** Its pipeline is paused. */
  readonly paused: boolean;
  readonly lanes: readonly LaneState[];
}

/** PUT /v1/sources/:name/state */
export const setStateBody = z.strictObject({
  lane: z.string().min(1),
  position: z.string().min(1).max(1_000),
});

export interface SetStateAnswer {
  readonly source: string;
  readonly lane: string;
  readonly from: string;
  readonly to: string;
  /** What happens to the data between the two. */
  readonly between: 'skipped' | 'read' | 'nothing';
}
