import type { LogIndex, PageNumber } from "../../core/base/ids.ts";
import type { ViewSource } from "../../core/sql/page_source.ts";
import type { PageImage } from "../../core/sql/wal_memory.ts";

interface PageVersion {
  readonly index: LogIndex;
  readonly bytes: Uint8Array;
}

/** All versions of all pages of one database, by the log index that wrote them. The simplest thing that has views. */
export class MemoryPages {
  readonly pageSize: number;
  readonly #pages = new Map<PageNumber, PageVersion[]>();
  readonly #sizes: { index: LogIndex; pageCount: number }[] = [{ index: 0, pageCount: 0 }];
  /** Pages read, for tests that count. */
  reads = 0;

  constructor(pageSize = 4096) {
    this.pageSize = pageSize;
  }

  /** Takes the whole content of a `.db` file as the state at an index. */
  static fromFile(file: Uint8Array, index: LogIndex): MemoryPages {
    const declared = new DataView(file.buffer, file.byteOffset).getUint16(16);
    const store = new MemoryPages(declared === 1 ? 65_536 : declared);
    const pageCount = file.length / store.pageSize;
    const pages = Array.from({ length: pageCount }, (_, position) => ({
      pageNumber: position + 1,
      bytes: file.subarray(position * store.pageSize, (position + 1) * store.pageSize),
    }));
    store.append(index, pages, pageCount);
    return store;
  }

  get tip(): LogIndex {
    return this.#sizes.at(-1)!.index;
  }

  append(index: LogIndex, pages: readonly PageImage[], pageCount: number): void {
    if (index <= this.tip) throw new Error(`Cannot append index ${index}: the tip is ${this.tip}`);
    for (const { pageNumber, bytes } of pages) {
      if (bytes.length !== this.pageSize) throw new Error(`Page ${pageNumber} has ${bytes.length} bytes`);
      if (pageNumber > pageCount) {
        throw new Error(`Page ${pageNumber} lies beyond the ${pageCount} of the database`);
      }
      const versions = this.#pages.get(pageNumber);
      const version = { index, bytes: bytes.slice() };
      if (versions === undefined) this.#pages.set(pageNumber, [version]);
      else versions.push(version);
    }
    this.#sizes.push({ index, pageCount });
  }

  pageCountAt(index: LogIndex): number {
    return this.#sizes.findLast((size) => size.index <= index)?.pageCount ?? 0;
  }

  pageAt(pageNumber: PageNumber, index: LogIndex): Uint8Array | undefined {
    return this.#pages.get(pageNumber)?.findLast((version) => version.index <= index)?.bytes;
  }

  /** A source of its own position over the shared versions; at the tip until it is moved. */
  source(): ViewSource {
    const source: ViewSource = {
      pageSize: this.pageSize,
      at: Infinity,
      pageCount: () => this.pageCountAt(source.at),
      readPage: (pageNumber, into) => {
        this.reads += 1;
        const bytes = pageNumber > source.pageCount() ? undefined : this.pageAt(pageNumber, source.at);
        if (bytes === undefined) return false;
        into.set(bytes);
        return true;
      },
    };
    return source;
  }

  /** The database as a `.db` file; missing pages are zeros. */
  toFile(index: LogIndex): Uint8Array {
    const pageCount = this.pageCountAt(index);
    const file = new Uint8Array(pageCount * this.pageSize);
    for (let pageNumber = 1; pageNumber <= pageCount; pageNumber += 1) {
      const bytes = this.pageAt(pageNumber, index);
      if (bytes !== undefined) file.set(bytes, (pageNumber - 1) * this.pageSize);
    }
    return file;
  }
}
