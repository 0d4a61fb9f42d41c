import { readState, writeState, type HomeState } from './instance.ts';
import type { ProcessRef } from './processes.ts';

/** `state.json` of a home while this process owns it: one writer, one write at a time. */
export class StateFile {
  readonly #home: string;
  #state: HomeState;
  #writing: Promise<void> = Promise.resolve();

  private constructor(home: string, state: HomeState) {
    this.#home = home;
    this.#state = state;
  }

  static async open(home: string): Promise<StateFile> {
    return new StateFile(home, await readState(home));
  }

  get current(): HomeState {
    return this.#state;
  }

  async update(change: Partial<HomeState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    const write = this.#writing.then(() => writeState(this.#home, this.#state));
    this.#writing = write.catch(() => undefined);
    await write;
  }

  /**
   * Notes a child that was started. A full disk must not stop what runs: without the note, the
   * child's life-line still ends it.
   */
  noteChild(name: string, wrapper: ProcessRef): void {
    const children = { ...this.#state.children, [name]: wrapper };
    this.update({ children }).catch(() => undefined);
  }
}
