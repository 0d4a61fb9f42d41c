import type { RowEncoding } from '../../core/mapping.ts';
import { hasUnstorableEscape } from '../../formats/json/escapes.ts';
import { token } from '../../formats/record-tape.ts';
import { writing } from './coerce.ts';
import type { OutputBuffer } from './output-buffer.ts';

/** A byte order mark inside a record is text like any other. */
const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
/** Longer text is encoded faster by the runtime. */
const longestPlain = 256;
const midnight = new TextEncoder().encode(' 00:00:00');

/** A token in its record. */
export interface TokenBytes {
  readonly bytes: Uint8Array;
  readonly kind: number;
  readonly start: number;
  readonly end: number;
}

/** Writes tokens as cells of one destination's row format. */
export class CellEncoder {
  readonly #encoding: RowEncoding;
  /** 1 for bytes that stand for themselves; most text consists of them and is copied. */
  readonly #plain: Uint8Array;

  constructor(encoding: RowEncoding) {
    this.#encoding = encoding;
    this.#plain = Uint8Array.from({ length: 256 }, (_, code) => {
      const char = String.fromCharCode(code);
      return code >= 128 || (encoding.escape(char) === char && this.#canStore(char)) ? 1 : 0;
    });
  }

  /** Appends the cell; false when the destination cannot store this text. */
  write(out: OutputBuffer, how: number, value: TokenBytes): boolean {
    if (how === writing.plain) out.append(value.bytes, value.start, value.end);
    else if (how === writing.text) return this.#writeText(out, value);
    else if (how === writing.json) return this.#writeJson(out, value);
    else {
      out.append(value.bytes, value.start, value.end);
      out.append(midnight);
    }
    return true;
  }

  writeEscaped(out: OutputBuffer, text: string): void {
    if (!this.#appendPlain(out, text)) out.appendText(this.#encoding.escape(text));
  }

  /** Appends ASCII that needs no escaping; false (and nothing written) where anything else is in it. */
  #appendPlain(out: OutputBuffer, text: string): boolean {
    if (text === '' || text.length > longestPlain) return false;
    out.reserve(text.length);
    const [plain, target] = [this.#plain, out.bytes];
    let to = out.length;
    for (let at = 0; at < text.length; at += 1, to += 1) {
      const code = text.charCodeAt(at);
      if (code >= 128 || plain[code] === 0) return false;
      target[to] = code;
    }
    out.length = to;
    return true;
  }

  #writeText(out: OutputBuffer, value: TokenBytes): boolean {
    if (value.kind !== token.escaped && value.kind !== token.quotedCell) {
      if (this.#copyPlain(out, value)) return true;
    }
    const text = decodeText(value);
    if (!this.#canStore(text)) return false;
    this.writeEscaped(out, text);
    return true;
  }

  /** Copies text that needs no escaping; false (and nothing written) at the first byte that does. */
  #copyPlain(out: OutputBuffer, { bytes, start, end }: TokenBytes): boolean {
    if (start === end) return false; // empty text may need a form of its own
    out.reserve(end - start);
    const [plain, target] = [this.#plain, out.bytes];
    let to = out.length;
    for (let at = start; at < end; at += 1, to += 1) {
      const byte = bytes[at] as number;
      if (plain[byte] === 0) return false;
      target[to] = byte;
    }
    out.length = to;
    return true;
  }

  #writeJson(out: OutputBuffer, value: TokenBytes): boolean {
    if (isJsonAsItStands(value.kind) && this.#copyPlain(out, value)) return true;
    const json = toJson(value);
    if (!this.#encoding.storesAnyText && hasUnstorableEscape(json)) return false;
    this.writeEscaped(out, json);
    return true;
  }

  #canStore(text: string): boolean {
    return this.#encoding.storesAnyText || (!text.includes('\0') && text.isWellFormed());
  }
}

/** From..to is the JSON itself: strings lack their quotes there, cells are no JSON. */
function isJsonAsItStands(kind: number): boolean {
  return kind === token.array || kind === token.object || kind === token.deepObject;
}

/** The value of a text token. */
export function decodeText({ bytes, kind, start, end }: TokenBytes): string {
  const text = textDecoder.decode(bytes.subarray(start, end));
  if (kind === token.escaped) return JSON.parse(`"${text}"`) as string;
  return kind === token.quotedCell ? text.replaceAll('""', '"') : text;
}

/** A token as JSON: as it stands in a JSON record, as a string from CSV. */
export function toJson(value: TokenBytes): string {
  const { bytes, kind, start, end } = value;
  if (kind === token.cell || kind === token.quotedCell) return JSON.stringify(decodeText(value));
  const quoted = kind === token.string || kind === token.escaped;
  return textDecoder.decode(
    quoted ? bytes.subarray(start - 1, end + 1) : bytes.subarray(start, end),
  );
}
