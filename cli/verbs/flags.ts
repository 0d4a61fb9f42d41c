export const jsonOption = ['--json', 'one JSON document on stdout'] as const;

/** Every verb takes it: one JSON document on stdout. */
export interface JsonFlag {
  readonly json?: boolean;
}

export interface FileFlag extends JsonFlag {
  readonly file: string;
}
