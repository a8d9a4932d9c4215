import type { Disk } from "../base/ports.ts";

/**
 * Replaces a small file as a whole: after a crash it holds the old bytes or the new ones. Durable when the promise
 * resolves.
 *
 * @param path a file in a folder that exists; `<path>.tmp` is used on the way
 */
export async function replaceFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = disk.openFile(temporary, "write");
  try {
    file.truncate(0);
    file.writeAt(bytes, 0);
    await file.sync();
  } finally {
    file.close();
  }
  disk.rename(temporary, path);
  await disk.syncDirectory(path.slice(0, Math.max(path.lastIndexOf("/"), 0)));
}

/** The whole content of a file, undefined when there is none. */
export function readWholeFile(disk: Disk, path: string): Uint8Array<ArrayBuffer> | undefined {
  if (!disk.exists(path)) return undefined;
  const file = disk.openFile(path, "read");
  try {
    const bytes = new Uint8Array(file.size());
    return bytes.subarray(0, file.readAt(bytes, 0));
  } finally {
    file.close();
  }
}
