/**
 * How a connection opens: the client sends one word, the version of the protocol; the server answers nothing. A server
 * closes the connection when it does not know the version.
 */

/**
 * - `one`: what every current client speaks.
 * - `legacy`: from before 1.0. The one difference is the answer to Leader, which has no id.
 */
export type ProtocolVersion = "one" | "legacy";

const WORDS: Record<ProtocolVersion, bigint> = { one: 1n, legacy: 0x8610_4dd7_6043_3fe5n };

/** @returns 8 bytes */
export function encodeHandshake(version: ProtocolVersion): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, WORDS[version], true);
  return bytes;
}

/**
 * @param word the first 8 bytes of the connection, as `FrameReader.takeWord` gives them
 * @returns undefined for a version that is not known, or for another protocol
 */
export function decodeHandshake(word: DataView): ProtocolVersion | undefined {
  switch (word.getBigUint64(0, true)) {
    case WORDS.one:
      return "one";
    case WORDS.legacy:
      return "legacy";
    default:
      return undefined;
  }
}
