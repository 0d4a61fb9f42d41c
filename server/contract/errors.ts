/**
 * Every answer that is not 2xx. Kinds are those of `core/failures.ts`, and `internal`.
 * 400 invalid-request, invalid-config · 401 no token · 404 not-found · 409 conflict ·
 * 413 too large · 421 wrong host · 503 what ends in -unavailable · 500 anything else
 */
export interface ErrorAnswer {
  readonly error: { readonly kind: string; readonly message: string; readonly advice: string };
}
