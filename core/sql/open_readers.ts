import type { DatabaseId } from "../base/ids.ts";
import type { Clock, Disk, Random } from "../base/ports.ts";
import type { SegmentReader } from "../log/segment_reader.ts";
import { LogPageSource } from "../pages/log_page_source.ts";
import type { PageDamage } from "../pages/page_damage.ts";
import type { EngineModule } from "./engine.ts";
import type { DatabaseBase, DatabaseUpdate } from "./messages.ts";
import { ReaderSession } from "./reader_session.ts";
import type { SessionLimits } from "./session_limits.ts";
import type { CancelFlag } from "./sql_session.ts";

export interface OpenReadersOptions {
  readonly module: EngineModule;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<SessionLimits>;
  readonly cancel: CancelFlag;
  readonly segments: SegmentReader;
  /** Hears of each damaged page before the query that met it fails. */
  readonly onDamage: (databaseId: DatabaseId, damage: PageDamage) => void;
}

interface OpenReader {
  readonly source: LogPageSource;
  session: ReaderSession | undefined;
}

/** The databases that one thread reads: their page indexes, as far as it was told, and a session for each. */
export class OpenReaders {
  readonly #options: OpenReadersOptions;
  readonly #readers = new Map<DatabaseId, OpenReader>();

  constructor(options: OpenReadersOptions) {
    this.#options = options;
  }

  update(update: DatabaseUpdate): void {
    let reader = this.#readers.get(update.databaseId);
    if (update.base !== undefined) {
      if (reader === undefined) {
        reader = { source: this.newSource(update.base), session: undefined };
        this.#readers.set(update.databaseId, reader);
      } else {
        reader.source.rebase(update.base);
      }
    }
    for (const delta of update.deltas) reader?.source.add(delta, update.oldestView);
  }

  /** The one that is open and alive. */
  session(databaseId: DatabaseId): ReaderSession | undefined {
    const reader = this.#readers.get(databaseId);
    if (reader?.session?.isDead) reader.session = undefined;
    return reader?.session;
  }

  /** Makes an instance of SQLite where there is none (2 to 3 ms). */
  async open(databaseId: DatabaseId): Promise<ReaderSession> {
    const known = this.session(databaseId);
    if (known !== undefined) return known;
    const reader = this.#readers.get(databaseId);
    if (reader === undefined) throw new Error(`Database ${databaseId} is not followed by this thread`);
    const session = await ReaderSession.open({ ...this.#options, source: reader.source });
    return reader.session = session;
  }

  close(databaseId: DatabaseId): void {
    const reader = this.#readers.get(databaseId);
    this.#readers.delete(databaseId);
    reader?.session?.close();
    reader?.source.close();
  }

  newSource(base: DatabaseBase): LogPageSource {
    const { disk, segments, onDamage } = this.#options;
    return new LogPageSource(disk, segments, base, (damage) => onDamage(base.databaseId, damage));
  }
}
