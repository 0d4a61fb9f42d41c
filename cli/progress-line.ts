import { say } from './print.ts';

/** One line on stderr that is written over on a terminal, and appended elsewhere when it changes. */
export class ProgressLine {
  #last = '';

  show(text: string): void {
    if (text === this.#last) return;
    this.#last = text;
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[2K${text}` : `${text}\n`);
  }

  /** A line that stays, above the one that moves. */
  say(text: string): void {
    this.end();
    say(text);
  }

  end(): void {
    if (process.stderr.isTTY && this.#last !== '') process.stderr.write('\r\u001b[2K');
    this.#last = '';
  }
}
