/** Set for `npm run test:heavy`, in `vitest.config.ts`. */
const takesAll = process.env['ALL_VARIANTS'] === '1';

/** Cases of which `npm test` takes one of each kind of fault, and `npm run test:heavy` all. */
export function variants<Case>(
  all: readonly Case[],
  daily: readonly NoInfer<Case>[],
): readonly Case[] {
  return takesAll ? all : daily;
}
