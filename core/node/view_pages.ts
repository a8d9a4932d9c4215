import { NodeError } from "../base/errors.ts";
import type { DatabaseId, PageNumber } from "../base/ids.ts";
import type { Disk } from "../base/ports.ts";
import type { Log } from "../log/log.ts";
import { SegmentReader } from "../log/segment_reader.ts";
import type { View } from "../pages/database.ts";
import { LogPageSource } from "../pages/log_page_source.ts";
import type { PageDamage } from "../pages/page_damage.ts";
import type { SqlPool } from "../sql/pool.ts";

/** The pages of a view, read on the main thread. */
export interface ViewPages {
  readonly pageCount: number;
  /**
   * Whole pages, as many as `into` holds.
   *
   * @throws NodeError `view_expired` when the view was given up meanwhile
   */
  read(first: PageNumber, into: Uint8Array): void;
  close(): void;
}

/** Reads views where a SQL worker is not needed: backups, and snapshots for other members. In small pieces. */
export class ViewReader {
  readonly #disk: Disk;
  readonly #log: Log;
  readonly #pool: SqlPool;
  readonly #segments: SegmentReader;
  #segmentsVersion = -1;

  readonly #onDamage: (databaseId: DatabaseId, damage: PageDamage) => void;

  /** @param onDamage hears of each damaged page before `read` throws */
  constructor(
    disk: Disk,
    log: Log,
    pool: SqlPool,
    onDamage: (databaseId: DatabaseId, damage: PageDamage) => void,
  ) {
    this.#disk = disk;
    this.#onDamage = onDamage;
    this.#log = log;
    this.#pool = pool;
    this.#segments = new SegmentReader(disk, []);
  }

  /** The view has to stay open as long as its pages are read. */
  open(view: View): ViewPages {
    const { database, index } = view;
    const { pageSize } = database;
    const onDamage = (damage: PageDamage) => this.#onDamage(database.id, damage);
    const source = new LogPageSource(this.#disk, this.#segments, this.#pool.viewBase(database), onDamage);
    source.at = index;
    const read = (first: PageNumber, into: Uint8Array): void => {
      mustBeKept(view);
      this.#update();
      for (let i = 0; i * pageSize < into.length; i++) {
        source.readPage(first + i, into.subarray(i * pageSize, (i + 1) * pageSize));
      }
    };
    return { pageCount: source.pageCount(), read, close: () => source.close() };
  }

  close(): void {
    this.#segments.close();
  }

  #update(): void {
    const { version, list } = this.#log.segments();
    if (version !== this.#segmentsVersion) this.#segments.update(list);
    this.#segmentsVersion = version;
  }
}

/** Nothing that was read through the view may be used any more. */
export function mustBeKept(view: View): void {
  if (!view.isExpired) return;
  throw new NodeError(
    "view_expired",
    `Cannot go on reading ${view.database.name} at index ${view.index}: the log reached its limit and this state was ` +
      "given up; read again, or allow more with --log-bytes",
  );
}
