import type { PlanInput, PlanResult } from '../activities/contract.ts';

/** What a sync was asked for, and how far its plans have come with that. */
export class AskedPlans {
  #askedAt = Date.now();
  #isAll = false;
  #lookAt: number | undefined;
  /** The last call only named what was planned. */
  #isPlanned = false;
  /** Somebody asked since the last plan was begun. */
  isNew = false;

  ask(): void {
    this.isNew = true;
    this.#askedAt = Date.now();
  }

  /** Of the next call: where there is nothing to plan, or not yet, it only names what is planned. */
  next(): Pick<PlanInput, 'askedAt' | 'isPlanned'> {
    if (this.isNew) this.#begin();
    this.isNew = false;
    this.#isPlanned = this.#isAll || (this.#lookAt !== undefined && Date.now() < this.#lookAt);
    return { askedAt: this.#askedAt, ...(this.#isPlanned && { isPlanned: true }) };
  }

  /** A plan that was begun before the last request says nothing of it. */
  note({ batches, isAll, lookAgainMs }: PlanResult): void {
    if (this.isNew || this.#isPlanned) return;
    this.#isAll = isAll ?? (batches.length === 0 && lookAgainMs === undefined);
    this.#lookAt = lookAgainMs === undefined ? undefined : Date.now() + lookAgainMs;
  }

  /** Nothing more will come of what was asked for. */
  get isOver(): boolean {
    return this.#isAll || this.#lookAt === undefined;
  }

  /** Milliseconds until the source may have more. */
  get restMs(): number {
    return Math.max(1, (this.#lookAt ?? 0) - Date.now());
  }

  #begin(): void {
    this.#isAll = false;
    this.#lookAt = undefined;
  }
}
