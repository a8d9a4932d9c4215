import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { posixChecksum } from "./posix_checksum.ts";
import { tarArchive } from "./tar_archive.ts";

export interface NamedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface ExecutableParts {
  /** The Deno binary, unchanged. */
  readonly runtime: Uint8Array;
  /** The program as one JavaScript module. */
  readonly program: NamedFile;
  /** What the program looks for beside itself. */
  readonly assets: readonly NamedFile[];
  /** Text of `stub.sh`. */
  readonly stub: string;
}

/** The stub lists names between spaces, in a shell. */
const FILE_NAME = /^[a-z][a-z0-9_.-]*$/;

/**
 * One file that is a shell script up to a known offset and a `tar.gz` from there on. The layout, and what the
 * script does at a run, are in the README beside.
 *
 * @param compressionLevel of gzip, 1 to 9
 */
export function selfExtracting(parts: ExecutableParts, compressionLevel: number): Uint8Array {
  const data = [parts.program, ...parts.assets];
  for (const { name } of data) {
    if (!FILE_NAME.test(name)) throw new Error(`Cannot pack "${name}": the name must match ${FILE_NAME}`);
  }
  const archive = tarArchive([
    { name: "deno", bytes: parts.runtime, executable: true },
    ...data.map((file) => ({ ...file, executable: false })),
  ]);
  const payload = gzipSync(archive, { level: compressionLevel });
  // Of the content and not of the payload: another compression level finds what is unpacked already.
  const hash = createHash("sha256").update(archive).digest("hex").slice(0, 32);
  const stub = filledStub(parts.stub, [
    ["@HASH@", hash],
    ["@PROGRAM@", parts.program.name],
    ["@ASSETS@", parts.assets.map((file) => file.name).join(" ")],
    ["@PAYLOAD_CHECKSUM@", `${posixChecksum(payload)} ${payload.length}`],
  ]);
  const executable = new Uint8Array(stub.length + payload.length);
  executable.set(stub, 0);
  executable.set(payload, stub.length);
  return executable;
}

const OFFSET_PLACE = "@PAYLOAD_OFFSET@";

function filledStub(
  template: string,
  values: readonly (readonly [place: string, value: string])[],
): Uint8Array {
  let text = template;
  for (const [place, value] of [...values, [OFFSET_PLACE, OFFSET_PLACE] as const]) {
    if (text.split(place).length !== 2) throw new Error(`Cannot fill stub.sh: ${place} must occur once`);
    text = text.replace(place, value);
  }
  // `tail -c +N` counts from 1. As wide as its place, so that filling it in does not move the payload.
  const offset = String(new TextEncoder().encode(text).length + 1).padEnd(OFFSET_PLACE.length);
  return new TextEncoder().encode(text.replace(OFFSET_PLACE, offset));
}
