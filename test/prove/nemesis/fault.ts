import type { Network } from '../network.ts';
import type { Random } from '../random.ts';
import type { SmallDisk } from '../../support/mount-disk.ts';
import type { TestInstance } from '../../support/instance.ts';

/** What a fault may lay hands on. */
export interface Stage {
  readonly instance: TestInstance;
  readonly network: Network;
  /** Of home and staged files; null where nobody here may mount one. */
  readonly disk: SmallDisk | null;
  /** Its own draws of this strike. */
  readonly random: Random;
}

/** What has to happen meanwhile so that a fault can strike. */
export type Need = 'new-field' | 'refused' | 'retry' | 'poison';

export interface Fault {
  readonly name: string;
  readonly needs?: Need;
  /** It can strike only where a disk may be mounted. */
  readonly needsDisk?: boolean;
  /**
   * Strikes, lets the harm be done, and takes away what would keep it from healing. Answers how
   * often it struck: 0 where what it waits for did not come.
   */
  strike(stage: Stage): Promise<number>;
}
