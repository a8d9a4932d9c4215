import { assert, mustHave } from "../base/assert.ts";
import type { LogIndex, LogPosition, PageNumber } from "../base/ids.ts";

/** What one entry changed: enough to add it to a page index anywhere, and to take it back. */
export interface PageDelta {
  /** The entry that puts the pages in effect. */
  readonly index: LogIndex;
  /** Size of the database in pages from here on. */
  readonly pageCount: number;
  readonly pageNumbers: Uint32Array;
  readonly positions: Float64Array;
  /** CRC-32 of each page. */
  readonly checksums?: Uint32Array;
}

/** A page index as flat arrays, to cross from the main thread to a worker. */
export interface PageIndexExport {
  readonly pageNumbers: Uint32Array;
  readonly indexes: Float64Array;
  readonly positions: Float64Array;
  readonly checksums: Uint32Array;
  /** Alternating index and page count, ascending. */
  readonly sizes: Float64Array;
  readonly shrinks: Float64Array;
}

/** Where one version of a page lies, and the CRC-32 its bytes must have. */
export interface PageVersion {
  readonly position: LogPosition;
  readonly checksum: number;
}

/** Position of a version that lies nowhere: the page has never been written since the database last shrank below it; it reads as zeros. */
export const ZERO_PAGE = -1;
const ZEROS: PageVersion = { position: ZERO_PAGE, checksum: 0 };

/** Numbers of one version: index, position, checksum. */
const VERSION_LENGTH = 3;

/**
 * Where the versions of each page of one database lie in the log. A page that is not listed, or only with newer
 * versions, is read from the `.db` file. The main thread owns one per database; every worker keeps a copy that
 * follows by deltas.
 */
export class PageIndex {
  /** Page number to (index, position, checksum) of each version, one after the other, ascending by index. */
  readonly #versions = new Map<PageNumber, number[]>();
  /** Alternating (index, page count), ascending; never empty. */
  #sizes: number[];
  /**
   * Alternating (index, page count) of entries that made the database smaller. SQLite does not write a page that is
   * allocated and freed in one transaction; beyond the old end such a page must read as zeros on every node,
   * whether or not a checkpoint cut the file in between (promise 4).
   */
  #shrinks: number[] = [];
  #versionCount = 0;

  /** @param pageCount size of the `.db` file in pages, in effect from `index` on */
  constructor(index: LogIndex = 0, pageCount = 0) {
    this.#sizes = [index, pageCount];
  }

  static fromExport(exported: PageIndexExport): PageIndex {
    const pages = new PageIndex();
    pages.#sizes = [...exported.sizes];
    pages.#shrinks = [...exported.shrinks];
    const { pageNumbers, indexes, positions, checksums } = exported;
    for (let i = 0; i < pageNumbers.length; i++) {
      pages.#push(
        pageNumbers[i] as number,
        indexes[i] as number,
        positions[i] as number,
        checksums[i] as number,
      );
    }
    return pages;
  }

  get versionCount(): number {
    return this.#versionCount;
  }

  /**
   * Adds the versions of one entry.
   *
   * @param oldest no view below this index will be opened or is open: versions that only such views need go
   */
  add(delta: PageDelta, oldest: LogIndex): void {
    const checksums = mustHave(delta.checksums, "checksums of the pages");
    for (let i = 0; i < delta.pageNumbers.length; i++) {
      const pageNumber = delta.pageNumbers[i] as number;
      this.#push(pageNumber, delta.index, delta.positions[i] as number, checksums[i] as number);
      this.#prune(pageNumber, oldest);
    }
    const sizes = this.#sizes;
    const pageCount = sizes.at(-1) as number;
    if (delta.pageCount < pageCount) this.#shrinks.push(delta.index, delta.pageCount);
    if (delta.pageCount !== pageCount) sizes.push(delta.index, delta.pageCount);
    while (sizes.length > 2 && (sizes[2] as number) <= oldest) sizes.splice(0, 2);
  }

  /** Takes back an entry that another leader's log does not have. Entries are taken back newest first. */
  remove(delta: PageDelta): void {
    for (const pageNumber of delta.pageNumbers) {
      const versions = this.#versions.get(pageNumber);
      if (versions === undefined || versions.at(-VERSION_LENGTH) !== delta.index) continue;
      versions.length -= VERSION_LENGTH;
      this.#versionCount--;
      if (versions.length === 0) this.#versions.delete(pageNumber);
    }
    const sizes = this.#sizes;
    while (sizes.length > 2 && (sizes.at(-2) as number) >= delta.index) sizes.length -= 2;
    while (this.#shrinks.length > 0 && (this.#shrinks.at(-2) as number) >= delta.index) {
      this.#shrinks.length -= 2;
    }
  }

  /** Position of the newest version at or below `at`; undefined: the `.db` file has the page; or ZERO_PAGE. */
  locate(pageNumber: PageNumber, at: LogIndex): LogPosition | undefined {
    return this.find(pageNumber, at)?.position;
  }

  /** The newest version at or below `at`; undefined: the `.db` file has the page. Its position may be ZERO_PAGE. */
  find(pageNumber: PageNumber, at: LogIndex): PageVersion | undefined {
    const versions = this.#versions.get(pageNumber) ?? [];
    for (let i = versions.length - VERSION_LENGTH; i >= 0; i -= VERSION_LENGTH) {
      const index = versions[i] as number;
      if (index > at) continue;
      if (this.#shrankBelow(pageNumber, index, at)) return ZEROS;
      return { position: versions[i + 1] as number, checksum: versions[i + 2] as number };
    }
    return this.#shrankBelow(pageNumber, 0, at) ? ZEROS : undefined;
  }

  /** Smallest page count of the entries in (0, at]; pages of the `.db` file above it are void at `at`. */
  smallestPageCount(at: LogIndex): number {
    let smallest = Infinity;
    for (let i = 0; i < this.#shrinks.length; i += 2) {
      if ((this.#shrinks[i] as number) <= at) smallest = Math.min(smallest, this.#shrinks[i + 1] as number);
    }
    return smallest;
  }

  pageCountAt(at: LogIndex): number {
    const sizes = this.#sizes;
    for (let i = sizes.length - 2; i >= 0; i -= 2) {
      if ((sizes[i] as number) <= at) return sizes[i + 1] as number;
    }
    return 0;
  }

  /** Newest version at or below `at` of every page inside the database at that index, ascending by page number. */
  newestAt(
    at: LogIndex,
  ): { pageNumbers: Uint32Array; positions: Float64Array; checksums: Uint32Array } {
    const pageCount = this.pageCountAt(at);
    const found: [PageNumber, PageVersion][] = [];
    for (const pageNumber of this.#versions.keys()) {
      const version = pageNumber <= pageCount ? this.find(pageNumber, at) : undefined;
      if (version !== undefined && version !== ZEROS) found.push([pageNumber, version]);
    }
    found.sort((a, b) => a[0] - b[0]);
    return {
      pageNumbers: Uint32Array.from(found, ([pageNumber]) => pageNumber),
      positions: Float64Array.from(found, ([, version]) => version.position),
      checksums: Uint32Array.from(found, ([, version]) => version.checksum),
    };
  }

  /** Everything at or below `index` is durable in the `.db` file and no open view is older: forget it. */
  dropThrough(index: LogIndex): void {
    while (this.#shrinks.length > 0 && (this.#shrinks[0] as number) <= index) this.#shrinks.splice(0, 2);
    for (const [pageNumber, versions] of this.#versions) {
      let count = 0;
      while (count < versions.length && (versions[count] as number) <= index) count += VERSION_LENGTH;
      if (count === 0) continue;
      this.#versionCount -= count / VERSION_LENGTH;
      if (count === versions.length) this.#versions.delete(pageNumber);
      else versions.splice(0, count);
    }
  }

  /** Everything a worker needs to follow from here. @param through versions above it are left out */
  export(through: LogIndex): PageIndexExport {
    const pageNumbers = new Uint32Array(this.#versionCount);
    const indexes = new Float64Array(this.#versionCount);
    const positions = new Float64Array(this.#versionCount);
    const checksums = new Uint32Array(this.#versionCount);
    let count = 0;
    for (const [pageNumber, versions] of this.#versions) {
      for (let i = 0; i < versions.length && (versions[i] as number) <= through; i += VERSION_LENGTH) {
        pageNumbers[count] = pageNumber;
        indexes[count] = versions[i] as number;
        positions[count] = versions[i + 1] as number;
        checksums[count] = versions[i + 2] as number;
        count++;
      }
    }
    return {
      pageNumbers: pageNumbers.subarray(0, count),
      indexes: indexes.subarray(0, count),
      positions: positions.subarray(0, count),
      checksums: checksums.subarray(0, count),
      sizes: pairsThrough(this.#sizes, through),
      shrinks: pairsThrough(this.#shrinks, through),
    };
  }

  #shrankBelow(pageNumber: PageNumber, after: LogIndex, at: LogIndex): boolean {
    const shrinks = this.#shrinks;
    for (let i = 0; i < shrinks.length; i += 2) {
      const index = shrinks[i] as number;
      if (index > after && index <= at && (shrinks[i + 1] as number) < pageNumber) return true;
    }
    return false;
  }

  #push(pageNumber: PageNumber, index: LogIndex, position: LogPosition, checksum: number): void {
    const versions = this.#versions.get(pageNumber);
    this.#versionCount++;
    if (versions === undefined) {
      this.#versions.set(pageNumber, [index, position, checksum]);
      return;
    }
    const newest = versions.at(-VERSION_LENGTH) as number;
    assert(newest < index, () => `Page ${pageNumber} has a version at ${newest}, cannot add one at ${index}`);
    versions.push(index, position, checksum);
  }

  /** Keeps the newest version at or below `oldest` and all above. */
  #prune(pageNumber: PageNumber, oldest: LogIndex): void {
    const versions = this.#versions.get(pageNumber) as number[];
    let count = 0;
    while (
      count + VERSION_LENGTH < versions.length && (versions[count + VERSION_LENGTH] as number) <= oldest
    ) count += VERSION_LENGTH;
    if (count === 0) return;
    versions.splice(0, count);
    this.#versionCount -= count / VERSION_LENGTH;
  }
}

function pairsThrough(pairs: readonly number[], through: LogIndex): Float64Array {
  let count = 0;
  while (count < pairs.length && (pairs[count] as number) <= through) count += 2;
  return Float64Array.from(pairs.slice(0, count));
}
