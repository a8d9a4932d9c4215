import type { DatabaseId } from "../base/ids.ts";
import { RecentMap } from "../base/recent_map.ts";
import type { Verdict } from "./messages.ts";

/** Runs by workers before one of them judges a text, and before it judges one again that proved long. */
const JUDGED_AFTER_RUNS = 4;
const JUDGED_AGAIN_AFTER_RUNS = 1_000;
/** Texts remembered, of all databases together, and how long they may be: about 1 MB at most. */
const TEXTS_MAX = 1_000;
const TEXT_LENGTH_MAX = 1_000;

/** What is known of a text by those who decide where it runs. */
export class KnownText {
  /** By workers, until one of them judges it. */
  runsLeft = JUDGED_AFTER_RUNS;
  /** The schema with which it was found to be short. */
  schemaCookie: number | undefined;

  /** It was found to be short with a schema that is not the present one. */
  isOutdated(): void {
    this.schemaCookie = undefined;
    this.runsLeft = JUDGED_AFTER_RUNS;
  }

  isLong(): void {
    this.judged(undefined);
  }

  /** @param schemaCookie undefined when it is long */
  judged(schemaCookie: number | undefined): void {
    this.schemaCookie = schemaCookie;
    this.runsLeft = JUDGED_AGAIN_AFTER_RUNS;
  }
}

/** The texts used last, and what workers say of them. */
export class KnownTexts {
  readonly #texts = new RecentMap<string, KnownText>(TEXTS_MAX);

  get(databaseId: DatabaseId, sql: string): KnownText | undefined {
    return sql.length > TEXT_LENGTH_MAX ? undefined : this.#texts.get(`${databaseId} ${sql}`);
  }

  /** A worker is going to run it: shall it judge the text? */
  wantsVerdict(databaseId: DatabaseId, sql: string): boolean {
    if (sql.length > TEXT_LENGTH_MAX) return false;
    const text = this.get(databaseId, sql) ?? this.#add(databaseId, sql);
    if (--text.runsLeft > 0) return false;
    // Only what succeeds is judged.
    text.runsLeft = JUDGED_AFTER_RUNS;
    return true;
  }

  onVerdict({ databaseId, sql, isShort, schemaCookie }: Verdict): void {
    this.get(databaseId, sql)?.judged(isShort ? schemaCookie : undefined);
  }

  #add(databaseId: DatabaseId, sql: string): KnownText {
    const text = new KnownText();
    this.#texts.set(`${databaseId} ${sql}`, text);
    return text;
  }
}
