import type { LogPosition, PageNumber } from "../base/ids.ts";
import type { Disk } from "../base/ports.ts";

/** Reads bytes of the log by position. */
export interface LogBytes {
  readAt(position: LogPosition, into: Uint8Array): void;
}

export interface CheckpointCopy {
  readonly file: string;
  readonly pageSize: number;
  readonly pageCount: number;
  readonly keepPageCount: number;
  readonly pageNumbers: ArrayLike<PageNumber>;
  readonly positions: ArrayLike<LogPosition>;
}

/**
 * Copies page versions from the log into the `.db` file and makes it durable. Safe to repeat after a crash at any
 * point: the same bytes go to the same places, and the log keeps them until the index is recorded (promise 3).
 * Runs on a worker. Any error is fatal to the process.
 */
export async function copyPages(disk: Disk, log: LogBytes, copy: CheckpointCopy): Promise<void> {
  const file = disk.openFile(copy.file, "write");
  try {
    const { pageSize } = copy;
    if (file.size() > copy.keepPageCount * pageSize) file.truncate(copy.keepPageCount * pageSize);
    const page = new Uint8Array(pageSize);
    for (let i = 0; i < copy.pageNumbers.length; i++) {
      log.readAt(copy.positions[i] as LogPosition, page);
      file.writeAt(page, ((copy.pageNumbers[i] as PageNumber) - 1) * pageSize);
    }
    // Pages that no entry carried read as zeros; the file has its full size all the same.
    file.truncate(copy.pageCount * pageSize);
    await file.sync();
  } finally {
    file.close();
  }
  await disk.syncDirectory(copy.file.slice(0, copy.file.lastIndexOf("/")));
}
