/** `schema.table`, where each part may hold `*`. */
export interface TablePattern {
  readonly text: string;
  readonly isExact: boolean;
  readonly form: RegExp;
}

export function toPattern(text: string): TablePattern {
  const escaped = text.replaceAll(/[\\^$.*+?()[\]{}|]/g, (char) =>
    char === '*' ? '[^.]*' : `\\${char}`,
  );
  return { text, isExact: !text.includes('*'), form: new RegExp(`^${escaped}$`, 'su') };
}

export function matchTable({ form }: TablePattern, lane: string): boolean {
  return form.test(lane);
}
