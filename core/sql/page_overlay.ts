import type { PageNumber } from "../base/ids.ts";

/** Numbers the batches of one writer session, from 1. */
export type BatchNumber = number;

interface OverlayPage {
  readonly bytes: Uint8Array;
  /** The page is in the page source once this batch is. */
  readonly batch: BatchNumber;
}

/**
 * Pages that left the writer's WAL through a checkpoint and cannot be read from the page source yet: their batch has
 * still to be written to the log and found there.
 *
 * SQLite looks into the WAL first, then here, then in the page source. That order is right: a version in the WAL was
 * committed after the last checkpoint, so it is newer than any here; a version here is the newest of its page as of that
 * checkpoint, so it is newer than, or equal to, what the source has. A page is dropped only when the source is known to have
 * the batch of that version, and later versions are in the WAL, or here under a later batch.
 */
export class PageOverlay {
  readonly #pages = new Map<PageNumber, OverlayPage>();
  #locatedBatch: BatchNumber = 0;

  get size(): number {
    return this.#pages.size;
  }

  get(pageNumber: PageNumber): Uint8Array | undefined {
    return this.#pages.get(pageNumber)?.bytes;
  }

  /** Copies the bytes, unless the source has them already. */
  put(pageNumber: PageNumber, bytes: Uint8Array, batch: BatchNumber): void {
    if (batch <= this.#locatedBatch) {
      this.#pages.delete(pageNumber);
      return;
    }
    this.#pages.set(pageNumber, { bytes: bytes.slice(), batch });
  }

  /** The database ends before this page now. */
  cut(pageCount: number): void {
    for (const pageNumber of this.#pages.keys()) if (pageNumber > pageCount) this.#pages.delete(pageNumber);
  }

  /** All pages of batches up to this one can be read from the page source. */
  located(batch: BatchNumber): void {
    if (batch <= this.#locatedBatch) return;
    this.#locatedBatch = batch;
    for (const [pageNumber, page] of this.#pages) if (page.batch <= batch) this.#pages.delete(pageNumber);
  }
}
