/** Where the events of a failure group come from and where they cannot go: one line for people. */
export function routeOf(group: {
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
}): string {
  return `${group.source}.${group.stream} → ${group.destination}`;
}
