/** Every verb takes it: one JSON document on stdout. */
export interface JsonFlag {
  readonly json?: boolean;
}

export interface FileFlag extends JsonFlag {
  readonly file: string;
}
