import type { Transaction } from './catalog.ts';

/** What the fingerprint of a failed event is made of. Never a value. */
export interface GroupPlace {
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
  readonly stage: string;
  readonly kind: string;
  readonly field: string | null;
  readonly expected: string | null;
  readonly observed: string | null;
  readonly sqlState: string | null;
}

export type GroupOf = (place: GroupPlace) => {
  readonly fingerprint: string;
  readonly version: number;
  readonly title: string;
  /** Of the group. */
  readonly stream: string;
};

export interface GroupChange {
  readonly groupId: string;
  readonly open: number;
  readonly restreaming: number;
  readonly total: number;
}

/** Open groups of one stream and destination; beyond them kinds share a group each. */
const maxOpenGroups = 200;
const groupIdLength = 20;

/** Finds or creates (with no events yet) the group of each place. */
export async function placeInGroups<Place extends GroupPlace>(
  tx: Transaction,
  places: readonly Place[],
  groupOf: GroupOf,
): Promise<readonly { groupId: string; place: Place }[]> {
  const wanted = places.map((place) => ({ place, ...toGroup(place, groupOf) }));
  const known = await knownGroups(
    tx,
    wanted.map(({ groupId }) => groupId),
  );
  const counts = new Map<string, number>();
  const chosen = [];
  for (const candidate of wanted) {
    const isNew = !known.has(candidate.groupId);
    const full = isNew && (await openGroups(tx, candidate.place, counts)) >= maxOpenGroups;
    const group = full ? toGroup(overflow(candidate.place), groupOf) : candidate;
    chosen.push({ ...group, place: candidate.place });
  }
  await createGroups(tx, chosen);
  return chosen.map(({ groupId, place }) => ({ groupId, place }));
}

function toGroup(place: GroupPlace, groupOf: GroupOf) {
  const { fingerprint, version, title, stream } = groupOf(place);
  return {
    groupId: fingerprint.slice(0, groupIdLength),
    fingerprint,
    version,
    title,
    shown: { ...place, stream },
  };
}

function overflow(place: GroupPlace): GroupPlace {
  return { ...place, field: '*', expected: null, observed: null, sqlState: null };
}

async function knownGroups(tx: Transaction, ids: readonly string[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ group_id: string }>(
    'SELECT group_id FROM millrace.failure_groups WHERE group_id = ANY ($1)',
    [ids],
  );
  return new Set(rows.map(({ group_id }) => group_id));
}

/** Counted once per stream, then carried on for the groups that this call adds. */
async function openGroups(
  tx: Transaction,
  { source, stream, destination }: GroupPlace,
  counts: Map<string, number>,
): Promise<number> {
  const key = JSON.stringify([source, stream, destination]);
  let count = counts.get(key);
  if (count === undefined) {
    const { rows } = await tx.query<{ count: number }>(
      `SELECT count(*) AS count FROM millrace.failure_groups
        WHERE source = $1 AND stream = $2 AND destination = $3 AND open_count + restreaming_count > 0`,
      [source, stream, destination],
    );
    count = rows[0]?.count ?? 0;
  }
  counts.set(key, count + 1);
  return count;
}

async function createGroups(
  tx: Transaction,
  groups: readonly ReturnType<typeof toGroup>[],
): Promise<void> {
  const documents = groups.map(({ groupId, fingerprint, version, title, shown }) => ({
    group_id: groupId,
    fingerprint,
    fingerprint_version: version,
    title,
    ...shown,
    sql_state: shown.sqlState,
  }));
  await tx.query(
    `INSERT INTO millrace.failure_groups
       (group_id, fingerprint, fingerprint_version, title, source, stream, destination, stage, kind,
        field, expected, observed, sql_state)
     SELECT DISTINCT ON (group_id) * FROM jsonb_to_recordset($1) AS g
       (group_id text, fingerprint text, fingerprint_version int, title text, source text, stream text,
        destination text, stage text, kind text, field text, expected text, observed text, sql_state text)
      ORDER BY group_id
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(documents)],
  );
}

/** Adds to the counters of groups, in the order of their ids so that two settlings never deadlock. */
export async function changeGroups(
  tx: Transaction,
  changes: readonly GroupChange[],
): Promise<void> {
  const ids = [...new Set(changes.map(({ groupId }) => groupId))];
  await tx.query(
    'SELECT FROM millrace.failure_groups WHERE group_id = ANY ($1) ORDER BY group_id FOR UPDATE',
    [ids],
  );
  await tx.query(
    `UPDATE millrace.failure_groups g
        SET open_count = g.open_count + c.open, restreaming_count = g.restreaming_count + c.restreaming,
            total_count = g.total_count + c.total,
            last_failed_at = CASE WHEN c.open > 0 THEN now() ELSE g.last_failed_at END,
            state = CASE
              WHEN g.open_count + c.open + g.restreaming_count + c.restreaming = 0 THEN 'resolved'
              WHEN c.open > 0 AND g.state = 'resolved' THEN 'regressed'
              WHEN c.open > 0 AND g.state = 'new' AND g.total_count > 0 THEN 'ongoing'
              ELSE g.state END
       FROM (SELECT group_id, sum(open) AS open, sum(restreaming) AS restreaming, sum(total) AS total
               FROM jsonb_to_recordset($1)
                 AS c (group_id text, open bigint, restreaming bigint, total bigint)
              GROUP BY group_id) c
      WHERE g.group_id = c.group_id`,
    [JSON.stringify(changes.map(({ groupId, ...counts }) => ({ group_id: groupId, ...counts })))],
  );
}
