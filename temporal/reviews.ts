import { WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/client';
import {
  retrySignal,
  workflowIds,
  type RestreamWorkflowInput,
  type ReviewFailuresInput,
} from '../workflows/messages.ts';
import { searchAttributes, toKeyword } from '../workflows/search-attributes.ts';
import type { TemporalAccess } from './client.ts';

/** What a review shows of its group, before and beside any worker. Counts and names, no values. */
export interface ReviewSubject {
  readonly groupId: string;
  readonly title: string;
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
  readonly kind: string;
  readonly openCount: number;
  readonly advice: string;
}

/** Starts the review of a group, unless it runs. */
export async function startReview(access: TemporalAccess, subject: ReviewSubject): Promise<void> {
  await access.client.workflow.start('reviewFailures', reviewOptions(access, subject));
}

/** Signals `retry` for a restream that the catalog knows, starting the review first if it is not there. */
export async function requestRetry(
  access: TemporalAccess,
  subject: ReviewSubject,
  restreamId: string,
): Promise<void> {
  await access.client.workflow.signalWithStart('reviewFailures', {
    ...reviewOptions(access, subject),
    signal: retrySignal.name,
    signalArgs: [{ restreamId }],
  });
}

/** Starts a restream that the catalog knows and Temporal does not. */
export async function startRestream(
  access: TemporalAccess,
  input: RestreamWorkflowInput,
  staticSummary: string,
): Promise<void> {
  await access.client.workflow.start('restream', {
    workflowId: workflowIds.restream(input.restreamId),
    taskQueue: access.taskQueue,
    args: [input],
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    staticSummary: cut(staticSummary, 200),
    typedSearchAttributes: [{ key: searchAttributes.run, value: 'restream' }],
  });
}

function reviewOptions(access: TemporalAccess, subject: ReviewSubject) {
  const args: [ReviewFailuresInput] = [{ groupId: subject.groupId }];
  return {
    workflowId: workflowIds.review(subject.groupId),
    taskQueue: access.taskQueue,
    args,
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    staticSummary: cut(summarize(subject), 200),
    staticDetails: describeSubject(subject),
    typedSearchAttributes: [
      { key: searchAttributes.source, value: subject.source },
      { key: searchAttributes.stream, value: toKeyword(subject.stream) },
      { key: searchAttributes.destination, value: subject.destination },
      { key: searchAttributes.failure, value: subject.kind },
      { key: searchAttributes.review, value: 'waiting' },
      { key: searchAttributes.parked, value: subject.openCount },
    ],
  };
}

function summarize({ source, stream, destination, openCount, title }: ReviewSubject): string {
  return `${source}.${stream} → ${destination}: ${openCount} failed events, ${title}`;
}

function describeSubject(subject: ReviewSubject): string {
  return [
    `**${subject.title}**`,
    '',
    `- source **${subject.source}**, stream **${subject.stream}**, destination **${subject.destination}**`,
    `- kind \`${subject.kind}\`, ${subject.openCount} events when this review began`,
    `- ${subject.advice}`,
    '- then signal `retry` (no input): the events are loaded exactly once',
  ].join('\n');
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
