import { setTimeout as sleep } from 'node:timers/promises';
import type { EncodedRows } from '../../../core/destination.ts';
import { rowColumns } from '../../../core/mapping.ts';
import { aroundLoads } from './around-loads.ts';
import type { Sabotage } from './sabotage.ts';

export const ledger: Sabotage = {
  breaks: 'a load does not look whether its batch is in the ledger already',
  word: 'duplicate',
  provokedBy: ['errors at commit-unread, one after another'],
  dependencies: (real) =>
    aroundLoads(real, (load) => ({
      async claim() {
        await load.claim();
        return null;
      },
    })),
};

export const fence: Sabotage = {
  breaks: 'loads do not keep out one another: of the same batch, or of the same table',
  word: 'duplicate',
  provokedBy: ['backfill and retry of the same events at once'],
  dependencies: (real) =>
    aroundLoads(real, () => ({ fence: async () => undefined, lockTables: async () => undefined })),
};

export const dedup: Sabotage = {
  breaks: 'events that were sent before are not told from new ones',
  word: 'duplicate',
  provokedBy: ['second worker'],
  dependencies: (real) =>
    aroundLoads(real, (load) => ({
      async takeIds(...input) {
        await load.takeIds(...input);
        return { duplicates: [], conflicts: [] };
      },
    })),
};

const lateMs = 500;

export const settle: Sabotage = {
  breaks: 'a delivery is settled before COMMIT',
  word: 'lost',
  provokedBy: ['kill at settled'],
  dependencies: (real) =>
    aroundLoads(real, (load) => {
      let isLeft = false;
      const commitLate = async () => {
        await sleep(lateMs);
        await load.commit().catch(() => undefined); // nobody waits for it any more
        await load[Symbol.asyncDispose]();
      };
      return {
        async commit() {
          isLeft = true;
          void commitLate();
        },
        async [Symbol.asyncDispose]() {
          if (!isLeft) await load[Symbol.asyncDispose]();
        },
      };
    }),
};

export const merge: Sabotage = {
  breaks: 'in a merge table the row that is loaded last stays, not the newest one',
  word: 'stale',
  provokedBy: ['second worker'],
  dependencies: (real) =>
    aroundLoads(real, (load) => ({
      copy: (rows, from, to) => load.copy(asNewest(rows), from, to),
    })),
};

let loaded = 0;

/** Rows that are newer than all that were loaded before, whatever their version says. */
function asNewest(rows: EncodedRows): EncodedRows {
  const { mapping } = rows;
  const cell = rowColumns(mapping).indexOf('_version');
  if (!mapping.merge || cell < 0) return rows;
  const { version: _declared, ...byVersion } = mapping.merge;
  return {
    ...rows,
    mapping: { ...mapping, merge: byVersion },
    async *read(from, to) {
      const chunks = [];
      for await (const chunk of rows.read(from, to)) chunks.push(chunk);
      yield Buffer.from(
        Buffer.concat(chunks)
          .toString()
          .replaceAll(/^.+$/gm, (row) => replaceCell(row, cell)),
      );
    },
  };
}

function replaceCell(row: string, cell: number): string {
  const cells = row.split('\t');
  cells[cell] = `~${Date.now()}.${String((loaded += 1)).padStart(12, '0')}`;
  return cells.join('\t');
}
