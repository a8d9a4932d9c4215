import type { LogIndex, PageNumber } from "../base/ids.ts";

/**
 * Where a connection finds the pages of its database. Calls are synchronous and come on the thread of the
 * connection. What a call throws ends the session that made it.
 */
export interface PageSource {
  /** A power of two from 512 to 65,536. */
  readonly pageSize: number;
  /** 0 for a database that nothing was written to yet. */
  pageCount(): number;
  /** Fills `into`, which is one page long. False when there is no such page: it reads as zeros. */
  readPage(pageNumber: PageNumber, into: Uint8Array): boolean;
}

/** A page source that can be moved. */
export interface ViewSource extends PageSource {
  /** `pageCount` and `readPage` answer as of this log index. */
  at: LogIndex;
}
