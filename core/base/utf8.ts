const FIRST_NOT_ASCII = 0x80;
/** Texts up to this length are checked byte by byte for being ASCII; longer ones are decoded at once. */
const SCANNED_BYTES_MAX = 4096;
const ENCODER = new TextEncoder();
/** Not fatal: SQLite stores any bytes as text. A byte order mark is text like any other. */
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** A text of SQLite as UTF-8: what is not becomes U+FFFD. The same bytes where they are in order at first sight. */
export function wellFormed(text: Uint8Array): Uint8Array {
  return isAscii(text) ? text : ENCODER.encode(DECODER.decode(text));
}

function isAscii(bytes: Uint8Array): boolean {
  if (bytes.length > SCANNED_BYTES_MAX) return false;
  for (let index = 0; index < bytes.length; index += 1) {
    if (bytes[index]! >= FIRST_NOT_ASCII) return false;
  }
  return true;
}
