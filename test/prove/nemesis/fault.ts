import type { TestInstance } from '../../support/instance.ts';
import type { Random } from '../random.ts';

/** What a fault may lay hands on. */
export interface Stage {
  readonly instance: TestInstance;
  /** Its own draws of this strike. */
  readonly random: Random;
}

export interface Fault {
  readonly name: string;
  /** What has to happen meanwhile so that it can strike. */
  readonly needs?: 'new-field' | 'retry';
  /**
   * Strikes, lets the harm be done, and takes away what would keep it from healing. Answers how
   * often it struck: 0 where what it waits for did not come.
   */
  strike(stage: Stage): Promise<number>;
}
