/** GET /v1/destinations */
export interface DestinationAnswer {
  readonly destination: string;
  readonly type: string;
  /** Host, port, database; null: in the embedded server. */
  readonly place: string | null;
  /** ok, failing, away */
  readonly state: string;
  readonly kind: string | null;
  readonly message: string | null;
}

/** POST /v1/destinations/:name/check; a failure is an error answer. */
export interface DestinationCheckAnswer {
  readonly destination: string;
  readonly ok: true;
}
