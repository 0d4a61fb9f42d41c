/** Codes of first messages after which the server answers one bare byte. */
const bareAnswers = new Set([80877103, 80877104]); // SSLRequest, GSSENCRequest
const commandComplete = 0x43;

/** Follows what a PostgreSQL server says on one connection, to know what it has done. */
export class PostgresTags {
  #rest: Buffer = Buffer.alloc(0);
  #bareBytes = 0;
  #isStarted = false;

  /** Bytes of the client, before they go on. */
  noteClient(bytes: Buffer): void {
    if (this.#isStarted || bytes.length < 8) return;
    if (bareAnswers.has(bytes.readUInt32BE(4))) this.#bareBytes += 1;
    else this.#isStarted = true;
  }

  /** Tags of the commands that the server says are complete in these bytes: `COMMIT`, `COPY 5`. */
  readServer(bytes: Buffer): readonly string[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (this.#bareBytes > 0 && this.#rest.length > 0) {
      this.#bareBytes -= 1;
      this.#rest = this.#rest.subarray(1);
    }
    const tags: string[] = [];
    while (this.#rest.length >= 5) {
      const end = 1 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) break;
      if (this.#rest[0] === commandComplete) tags.push(this.#rest.toString('utf8', 5, end - 1));
      this.#rest = this.#rest.subarray(end);
    }
    return tags;
  }
}
