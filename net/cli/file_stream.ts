const CHUNK_BYTES = 256 * 1024;

/** A file from its beginning, opened when the first bytes are asked for. `onBytes` hears how many have been read. */
export function openStream(
  path: string,
  onBytes: (bytes: number) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(readChunks(path, onBytes));
}

async function* readChunks(
  path: string,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  let total = 0;
  for (;;) {
    const buffer = new Uint8Array(CHUNK_BYTES);
    const bytes = await file.read(buffer);
    if (bytes === null) return;
    total += bytes;
    onBytes(total);
    yield buffer.subarray(0, bytes);
  }
}
