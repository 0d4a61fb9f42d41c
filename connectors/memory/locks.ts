interface Hold {
  readonly owner: object;
  readonly exclusive: boolean;
}

/** Named locks, shared or exclusive, each held by a transaction until it ends. */
export class Locks {
  readonly #holds = new Map<string, Hold[]>();
  #changed = Promise.withResolvers<void>();

  /** Takes the lock, or false when somebody else holds it. */
  tryTake(name: string, hold: Hold): boolean {
    const holds = this.#holds.get(name) ?? [];
    const others = holds.filter(({ owner }) => owner !== hold.owner);
    if (others.some(({ exclusive }) => exclusive || hold.exclusive)) return false;
    this.#holds.set(name, [...holds, hold]);
    return true;
  }

  async take(name: string, hold: Hold, signal: AbortSignal): Promise<void> {
    while (!this.tryTake(name, hold)) await this.change(signal);
  }

  /** Resolves when some lock was given back. */
  async change(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.race([this.#changed.promise, aborted.promise]).finally(() =>
      signal.removeEventListener('abort', onAbort),
    );
  }

  holders(name: string): readonly object[] {
    return (this.#holds.get(name) ?? []).map(({ owner }) => owner);
  }

  releaseAll(owner: object): void {
    for (const [name, holds] of this.#holds) {
      this.#holds.set(
        name,
        holds.filter((hold) => hold.owner !== owner),
      );
    }
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
