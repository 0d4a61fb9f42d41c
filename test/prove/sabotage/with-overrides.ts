type Method = (...input: unknown[]) => unknown;

/** The same object with some members of it replaced; others run on the object itself. */
export function withOverrides<T extends object>(real: T, overrides: Partial<T>): T {
  return new Proxy(real, {
    get(target, name) {
      if (Object.hasOwn(overrides, name)) return Reflect.get(overrides, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      // No bound function: V8 does not take one as the dispose method of `await using`.
      return (...input: unknown[]) => (value as Method).apply(target, input);
    },
  });
}
