import { intervalOf } from '../../config/document-shape.ts';
import type { RevokeAnswer, RotateAnswer, TokenAnswer } from '../../server/contract/tokens.ts';
import { connect } from '../api.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { printTokens } from '../print-tokens.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export async function runTokenList(source: string, { json }: JsonFlag): Promise<number> {
  const tokens = await (await connect()).get<TokenAnswer[]>(pathOf(source));
  if (json) printJson(tokens);
  else {
    const rows = tokens.map(({ tokenId, createdAt, expiresAt }) => [
      tokenId,
      createdAt,
      expiresAt ?? 'never',
    ]);
    printTable(['token', 'since', 'ends'], rows);
  }
  return exitCode.ok;
}

export async function runTokenRotate(
  source: string,
  { json, overlap }: JsonFlag & { readonly overlap: string },
): Promise<number> {
  const overlapMs = readOverlap(overlap);
  const answer = await (await connect()).post<RotateAnswer>(pathOf(source), { overlapMs });
  if (json) printJson(answer);
  else {
    printTokens({ [source]: answer.token });
    say(overlapMs === 0 ? 'the tokens before it are void' : `those before it end in ${overlap}`);
  }
  return exitCode.ok;
}

function readOverlap(text: string): number {
  if (text === '0') return 0;
  if (/^[1-9]\d{0,5}[smhd]$/.test(text)) return intervalOf(`every ${text}`);
  throw new VerbEnd(exitCode.usage, '--overlap takes 0, or a time such as 30m or 24h');
}

export async function runTokenRevoke(
  source: string,
  tokenId: string | undefined,
  { json }: JsonFlag,
): Promise<number> {
  const body = tokenId === undefined ? {} : { tokenId };
  const answer = await (await connect()).post<RevokeAnswer>(`${pathOf(source)}/revoke`, body);
  if (json) printJson(answer);
  else say(`revoked ${answer.revoked} of ${source}`);
  return exitCode.ok;
}

function pathOf(source: string): string {
  return `sources/${encodeURIComponent(source)}/tokens`;
}
