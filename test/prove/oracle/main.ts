import { readFile, writeFile } from 'node:fs/promises';
import { judge } from './judge.ts';
import { readJournal } from './journal.ts';
import { readEvidence, type EvidenceScope } from './read-evidence.ts';

/**
 * `main.ts JOURNAL SCOPE VERDICT`: reads what was sent and what stands in the databases, and writes
 * what is wrong. A program of its own: it knows nothing of the product but its public tables.
 */
const [journalFile = '', scopeFile = '', verdictFile = ''] = process.argv.slice(2);
const scope = JSON.parse(await readFile(scopeFile, 'utf8')) as EvidenceScope;
const violations = judge(await readJournal(journalFile), await readEvidence(scope));
await writeFile(verdictFile, JSON.stringify(violations));
