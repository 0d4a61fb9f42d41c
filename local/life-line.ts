/**
 * A shell between us and a child that ends the child when we die, even by SIGKILL: it reads a pipe
 * (file descriptor 3) whose other end only we hold, and gives it `patience` seconds then. INT and
 * TERM are passed on at once, as `signal`; the exit code is the child's. The second `wait` is for
 * the one that a signal interrupts.
 */
const script = [
  'signal=$1; patience=$2; shift 2',
  '"$@" </dev/null 3<&- & child=$!',
  'trap "kill -$signal $child" INT TERM',
  '(cat >/dev/null; sleep "$patience"; kill -"$signal" $child) <&3 2>/dev/null &',
  'exec 3<&-',
  'wait $child; wait $child',
].join('\n');

export function withLifeLine(
  signal: 'INT' | 'TERM',
  command: readonly string[],
  patience = 0,
): readonly [program: string, ...args: string[]] {
  return ['/bin/sh', '-c', script, 'sh', signal, String(patience), ...command];
}
