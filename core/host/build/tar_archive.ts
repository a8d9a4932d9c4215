/**
 * Writes a tar archive in the ustar layout (POSIX.1-1988 "tar interchange format"), readable by every `tar`.
 * Times and owners are zero, so the same files give the same bytes.
 */

export interface TarFile {
  /** At most 100 bytes of ASCII, without folders. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
const encoder = new TextEncoder();

export function tarArchive(files: readonly TarFile[]): Uint8Array<ArrayBuffer> {
  const padded = (size: number) => Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  const total = files.reduce((sum, file) => sum + BLOCK_BYTES + padded(file.bytes.length), 0);
  // Two zero blocks end an archive.
  const archive = new Uint8Array(total + 2 * BLOCK_BYTES);
  let offset = 0;
  for (const file of files) {
    archive.set(header(file), offset);
    archive.set(file.bytes, offset + BLOCK_BYTES);
    offset += BLOCK_BYTES + padded(file.bytes.length);
  }
  return archive;
}

function header(file: TarFile): Uint8Array {
  const name = encoder.encode(file.name);
  if (name.length === 0 || name.length > NAME_BYTES_MAX) {
    throw new RangeError(`Cannot archive "${file.name}": names have 1 to ${NAME_BYTES_MAX} bytes`);
  }
  const block = new Uint8Array(BLOCK_BYTES);
  const put = (text: string, at: number) => block.set(encoder.encode(text), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  block.set(name, 0);
  put(octal(file.executable ? 0o755 : 0o644, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(file.bytes.length, 11), 124);
  put(octal(0, 11), 136);
  put("0", 156);
  put("ustar\x0000", 257);
  // The checksum is taken with its own eight bytes as spaces.
  put(" ".repeat(8), 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${octal(sum, 6)}\x00 `, 148);
  return block;
}
