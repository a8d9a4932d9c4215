import type { LogIndex } from "../base/ids.ts";
import type { CheckpointCopy, SumsOfCopy } from "./checkpoint_file.ts";
import { databaseFile } from "./checkpoint_meta.ts";
import type { Database } from "./database.ts";

/**
 * What a worker needs to bring the `.db` file of a database to the state at `index`.
 *
 * @param index not above the published index, nor above what any view may still be opened at
 */
export function planCheckpoint(
  database: Database,
  index: LogIndex,
): CheckpointCopy & {
  readonly pageNumbers: Uint32Array;
  readonly positions: Float64Array;
  sums: SumsOfCopy;
} {
  const { id, fileName, pageSize, pages, checkpoint } = database;
  const pageCount = pages.pageCountAt(index);
  const record = checkpoint.index === 0 ? undefined : { databaseId: id, pageSize, ...checkpoint };
  const { checksums, ...versions } = pages.newestAt(index);
  return {
    file: databaseFile(fileName),
    pageSize,
    pageCount,
    // A file without a record is what a dropped database or an unfinished first copy left: nothing of it counts.
    keepPageCount: record === undefined ? 0 : Math.min(pages.smallestPageCount(index), pageCount),
    ...versions,
    sums: { databaseId: id, index, checksums, record },
  };
}
