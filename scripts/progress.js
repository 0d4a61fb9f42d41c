// Runs on plain Node 20, before anything is installed.
const startedAt = Date.now();

/** A fault that a person can mend. Its message is all that is shown: no stack trace. */
export class SetUpError extends Error {
  /** @param {string} message @param {number} [exitCode] 1 failure · 4 cannot connect */
  constructor(message, exitCode = 1) {
    super(message);
    this.name = 'SetUpError';
    this.exitCode = exitCode;
  }
}

/** One line of progress on stderr, with the seconds since the start. */
export function report(message) {
  process.stderr.write(`[${secondsSince(startedAt).padStart(6)}] ${message}\n`);
}

export function secondsSince(time) {
  return `${((Date.now() - time) / 1000).toFixed(1)} s`;
}

/** Runs the main function of a script and turns its faults into one message and an exit code. */
export async function runMain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    const known = error instanceof SetUpError ? error : explainSystemFault(error);
    if (known === undefined) throw error;
    process.stderr.write(`\n${known.message}\n`);
    process.exitCode = known.exitCode;
  }
}

function explainSystemFault(error) {
  const at = error?.path === undefined ? '' : ` (${error.path})`;
  if (error?.code === 'ENOSPC' || error?.code === 'EDQUOT') return diskFull(at);
  if (['EACCES', 'EPERM', 'EROFS'].includes(error?.code)) {
    return new SetUpError(
      `Not allowed to write${at}. Run as the owner of this folder, or change its owner (chown).`,
    );
  }
  return undefined;
}

export function diskFull(at = '') {
  return new SetUpError(
    `The disk is full${at}. Set-up needs about 1.5 GB (3 GB where Temporal is built); free some space and run it again.`,
  );
}

const networkFault =
  /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|UND_ERR_(CONNECT|HEADERS|SOCKET)|connection refused|no such host|network is unreachable|i\/o timeout|TLS handshake timeout/;

/** The word in a program's output that says that the network is the reason, or undefined. */
export function findNetworkFault(output) {
  return networkFault.exec(output)?.[0];
}

export function isDiskFull(output) {
  return /ENOSPC|EDQUOT|no space left on device|disk quota exceeded/i.test(output);
}
