const form = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/;

/**
 * A point in time as a person writes it, to the millisecond: a day, or a day and its time; of UTC
 * where no zone stands behind it. Null: it is none.
 */
export function parseInstant(text: string): Date | null {
  const [, day = '', time = '00:00', zone = 'Z'] = form.exec(text) ?? [];
  const instant = new Date(`${day}T${time}${zone.replace(/^(.\d\d)(\d\d)$/, '$1:$2')}`);
  return isDay(day) && !Number.isNaN(instant.getTime()) ? instant : null;
}

/** JavaScript takes the 30th of February for the 2nd of March. */
function isDay(day: string): boolean {
  const midnight = new Date(`${day}T00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
}
