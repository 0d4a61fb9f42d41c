/** GET /v1/sources */
export interface SourceAnswer {
  readonly source: string;
  readonly type: string;
  readonly pipeline: string | null;
  readonly destinations: readonly string[];
  readonly everyMs: number | null;
  /** How many were seen so far. */
  readonly lanes: number;
}

/** POST /v1/sources/:name/check; a failure is an error answer. */
export interface SourceCheckAnswer {
  readonly source: string;
  readonly ok: true;
  /** What the source does not see, in sentences. */
  readonly notes: readonly string[];
}

/** GET /v1/sources/:name/lanes: what the source has now. */
export interface LaneAnswer {
  readonly lane: string;
  /** Null: its records say it themselves. */
  readonly stream: string | null;
}
