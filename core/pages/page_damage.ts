import { NodeError } from "../base/errors.ts";
import type { LogIndex, LogPosition, PageNumber } from "../base/ids.ts";

/** Where the bytes lie that are not what was written. */
export type DamagedPlace =
  /** A version of the page in the log: where its bytes begin. */
  | { readonly place: "log"; readonly position: LogPosition }
  /** The page in the `.db` file, or its checksum beside it: which of the two cannot be told. */
  | { readonly place: "file"; readonly path: string };

/** A page that did not have its checksum when it was read. Plain data: it crosses from worker to main thread. */
export type PageDamage = DamagedPlace & {
  readonly pageNumber: PageNumber;
  /** The index the page was read as of; Infinity: the tip. */
  readonly at: LogIndex;
  /** CRC-32 the page must have; undefined when that is what is lost. */
  readonly expected: number | undefined;
};

/** Met a damaged page. Reading goes on elsewhere; the page has to come from another node. */
export class PageDamageError extends NodeError {
  override name = "PageDamageError";

  constructor(readonly damage: PageDamage) {
    super("data_damaged", `Cannot read page ${damage.pageNumber} ${describe(damage)}; it is being repaired`);
  }
}

function describe(damage: PageDamage): string {
  const where = damage.place === "log" ? `of the log at ${damage.position}` : `of ${damage.path}`;
  return damage.expected === undefined ? `${where}: its checksum is lost` : `${where}: its checksum is wrong`;
}
