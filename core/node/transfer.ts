import { NodeError } from "../base/errors.ts";
import type { DatabaseId, LogIndex, Milliseconds } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock, Disk, DiskFile } from "../base/ports.ts";
import { encodePages, type Frame } from "../pages/entry_body.ts";
import type { View } from "../pages/database.ts";
import { presentAsView, presentAsWal } from "../pages/database_header.ts";
import type { SqlPool } from "../sql/pool.ts";
import type { PeerMethods } from "./peer_calls.ts";
import type { ViewPages, ViewReader } from "./view_pages.ts";

/** The steps of an upload, each carried out by the leader. */
export interface ImportSteps {
  begin(name: string, pageSize: number, deadlineMs: Milliseconds): Promise<DatabaseId>;
  pages(databaseId: DatabaseId, body: Uint8Array, deadlineMs: Milliseconds): Promise<LogIndex>;
  finish(databaseId: DatabaseId, deadlineMs: Milliseconds): Promise<LogIndex>;
  abort(databaseId: DatabaseId, deadlineMs: Milliseconds): Promise<unknown>;
}

type ImportMethod = "import_begin" | "import_pages" | "import_finish" | "import_abort";

export function importSteps(
  atLeader: <M extends ImportMethod>(
    method: M,
    request: PeerMethods[M]["request"],
    deadlineMs: Milliseconds,
  ) => Promise<PeerMethods[M]["answer"]>,
): ImportSteps {
  return {
    begin: (name, pageSize, deadlineMs) => atLeader("import_begin", { name, pageSize }, deadlineMs),
    pages: (databaseId, body, deadlineMs) => atLeader("import_pages", { databaseId, body }, deadlineMs),
    finish: (databaseId, deadlineMs) => atLeader("import_finish", { databaseId }, deadlineMs),
    abort: (databaseId, deadlineMs) => atLeader("import_abort", { databaseId }, deadlineMs),
  };
}

export interface TransferOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly pool: SqlPool;
  readonly reader: ViewReader;
  readonly steps: ImportSteps;
}

/** One chunk of a backup: a millisecond of reading on the main thread. */
const BACKUP_CHUNK_BYTES = 512 * 1024;
/** Entries of an upload on their way to a majority at once: hides the round trips, bounds the memory. */
const IMPORTS_IN_FLIGHT_MAX = 4;
const UPLOAD_FOLDER = "tmp";

/** Whole databases out and in. */
export class Transfer {
  readonly #options: TransferOptions;
  #nextUpload = 1;

  constructor(options: TransferOptions) {
    this.#options = options;
    // What an upload left when the process ended in the middle of it.
    const { disk } = options;
    for (const name of disk.list(UPLOAD_FOLDER)) disk.remove(`${UPLOAD_FOLDER}/${name}`);
  }

  /** The database of an open view as the bytes of a plain `.db` file; closes the view at the end. */
  backup(view: View): { bytes: number; chunks: AsyncIterableIterator<Uint8Array> } {
    const { pageSize } = view.database;
    const pageCount = view.database.pages.pageCountAt(view.index);
    const pages = this.#options.reader.open(view);
    const chunks = this.#chunks(pages, view, pageSize, pageCount);
    return { bytes: pageSize * pageCount, chunks: closing(chunks, view) };
  }

  async *#chunks(
    pages: ViewPages,
    view: View,
    pageSize: number,
    pageCount: number,
  ): AsyncGenerator<Uint8Array> {
    try {
      const pagesPerChunk = Math.max(1, Math.floor(BACKUP_CHUNK_BYTES / pageSize));
      for (let first = 1; first <= pageCount; first += pagesPerChunk) {
        const count = Math.min(pagesPerChunk, pageCount - first + 1);
        const chunk = new Uint8Array(count * pageSize);
        pages.read(first, chunk);
        if (first === 1) presentAsView(chunk.subarray(0, pageSize), view.index);
        yield chunk;
      }
    } finally {
      pages.close();
    }
  }

  /**
   * Takes a file in, checks it, and replaces the database in one step; nothing changes when anything fails. The time
   * limit is for each step of the replication: a large file may take long to arrive and to check.
   */
  async restore(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    timeoutMs: Milliseconds,
  ): Promise<{ index: LogIndex; pages: number; pageSize: number }> {
    const { disk, pool } = this.#options;
    disk.makeDirectory(UPLOAD_FOLDER);
    const path = `${UPLOAD_FOLDER}/upload-${this.#nextUpload++}.db`;
    try {
      await writeChunks(disk.openFile(path, "write"), chunks);
      const { pageSize, pageCount } = await pool.checkFile(path);
      const index = await this.#import(name, path, pageSize, pageCount, timeoutMs);
      return { index, pages: pageCount, pageSize };
    } finally {
      if (disk.exists(path)) disk.remove(path);
    }
  }

  async #import(
    name: string,
    path: string,
    pageSize: number,
    pageCount: number,
    timeoutMs: Milliseconds,
  ): Promise<LogIndex> {
    const { disk, steps, clock } = this.#options;
    const deadline = (): Milliseconds => clock.nowMs() + timeoutMs;
    const databaseId = await steps.begin(name, pageSize, deadline());
    const file = disk.openFile(path, "read");
    try {
      await this.#sendPages(databaseId, file, pageSize, pageCount, deadline);
      return await steps.finish(databaseId, deadline());
    } catch (error) {
      await steps.abort(databaseId, deadline()).catch(() => {});
      throw error;
    } finally {
      file.close();
    }
  }

  async #sendPages(
    databaseId: DatabaseId,
    file: DiskFile,
    pageSize: number,
    pageCount: number,
    deadline: () => Milliseconds,
  ): Promise<void> {
    const { clock, steps } = this.#options;
    const pagesPerEntry = Math.floor((LIMITS.entryBytesMax - 1024) / (pageSize + 16));
    const inFlight: Promise<unknown>[] = [];
    for (let first = 1; first <= pageCount; first += pagesPerEntry) {
      const count = Math.min(pagesPerEntry, pageCount - first + 1);
      const frames = readFrames(file, pageSize, first, count);
      const [body] = encodePages(frames, {
        wallMs: clock.wallMs(),
        databaseId,
        pageSize,
        pageCount: first + count - 1,
        entryBytesMax: LIMITS.entryBytesMax,
      });
      const sent = steps.pages(databaseId, body as Uint8Array, deadline());
      sent.catch(() => {});
      inFlight.push(sent);
      if (inFlight.length >= IMPORTS_IN_FLIGHT_MAX) await inFlight.shift();
    }
    await Promise.all(inFlight);
  }
}

/**
 * Closes the view when the iteration ends, however it ends: a generator that is given up before its first step runs no
 * `finally` of its own, and a view that is never closed stops the checkpoints of its database.
 */
function closing(
  chunks: AsyncGenerator<Uint8Array>,
  view: View,
): AsyncIterableIterator<Uint8Array> {
  let isOpen = true;
  const end = (): void => {
    if (isOpen) view.close();
    isOpen = false;
  };
  return {
    async next() {
      try {
        const result = await chunks.next();
        if (result.done) end();
        return result;
      } catch (error) {
        end();
        throw error;
      }
    },
    async return() {
      const result = await chunks.return(undefined);
      end();
      return result;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function writeChunks(file: DiskFile, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    file.truncate(0);
    let offset = 0;
    for await (const chunk of chunks) {
      file.writeAt(chunk, offset);
      offset += chunk.length;
    }
    if (offset === 0) {
      throw new NodeError("database_file_invalid", "Cannot use the uploaded file: it is empty");
    }
  } finally {
    file.close();
  }
}

function readFrames(file: DiskFile, pageSize: number, first: number, count: number): Frame[] {
  const bytes = new Uint8Array(pageSize * count);
  file.readAt(bytes, (first - 1) * pageSize);
  if (first === 1) presentAsWal(bytes);
  return Array.from({ length: count }, (_, i) => ({
    pageNumber: first + i,
    bytes: bytes.subarray(i * pageSize, (i + 1) * pageSize),
  }));
}
