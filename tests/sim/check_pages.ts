import type { LogIndex, PageNumber } from "../../core/base/ids.ts";
import { crc32 } from "../../core/codec/crc32.ts";

/** A page somebody was shown, to be asked for again elsewhere and later. */
export interface KnownPage {
  readonly database: string;
  readonly pageNumber: PageNumber;
  readonly index: LogIndex;
}

/**
 * A page at an index has the same bytes on every node, whether it comes from the log, from the `.db` file, or out of a
 * backup that was begun long ago (promises 3 and 4).
 */
export class PageChecker {
  readonly #sums = new Map<string, { readonly sum: number; readonly who: string }>();
  readonly known: KnownPage[] = [];

  /** @param who names the source in the error */
  note(page: KnownPage, bytes: Uint8Array, who: string): void {
    const { database, pageNumber, index } = page;
    const key = `${database} ${pageNumber} ${index}`;
    const sum = crc32(bytes);
    const first = this.#sums.get(key);
    if (first === undefined) {
      this.#sums.set(key, { sum, who });
      this.known.push(page);
    } else if (first.sum !== sum) {
      throw new Error(
        `Page ${pageNumber} of ${database} at index ${index} has other bytes in ${who} than in ${first.who}`,
      );
    }
  }

  /** The pages of a `.db` file; the first is left out, because it is changed to tell SQLite about the index. */
  noteFile(database: string, index: LogIndex, bytes: Uint8Array, who: string): void {
    const pageSize = new DataView(bytes.buffer, bytes.byteOffset).getUint16(16) || 65_536;
    for (let page = 2; page * pageSize <= bytes.length; page++) {
      this.note(
        { database, pageNumber: page, index },
        bytes.subarray((page - 1) * pageSize, page * pageSize),
        who,
      );
    }
  }
}
