/** GET /v1/pipelines */
export interface PipelineAnswer {
  readonly pipeline: string;
  readonly source: string;
  readonly destinations: readonly string[];
  /** Milliseconds between syncs; null: at `up` and on `sync`. */
  readonly everyMs: number | null;
  /** Since when nothing new is planned; null: it is not paused. */
  readonly pausedAt: string | null;
}

/** POST /v1/pipelines/:name/pause and /v1/pipelines/:name/resume */
export interface PauseAnswer {
  readonly pipeline: string;
  readonly source: string;
  readonly paused: boolean;
  /** False: it was so before. */
  readonly changed: boolean;
  /** Deliveries on their way, which finish. */
  readonly open: number;
  /** Why Temporal was not told; the next round of upkeep does it then. */
  readonly delayed: string | null;
}
