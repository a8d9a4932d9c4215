import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds } from "../base/ids.ts";
import type { Log } from "../log/log.ts";
import { decodeEntryBody } from "../pages/entry_body.ts";
import type { PageStore } from "../pages/page_store.ts";
import { EntryType } from "../raft/message.ts";

/** Bytes of entries looked at in one go. */
const SCAN_BYTES = 1024 * 1024;

/**
 * The last published entry whose time is at most `wallMs`; the time of an entry is the latest wall clock up to it. The
 * remembered moments say where to look, the entries between two of them decide.
 *
 * @throws NodeError `view_expired` when everything in the log is later
 */
export function indexAt(wallMs: Milliseconds, store: PageStore, log: Log): LogIndex {
  const range = store.times.around(wallMs);
  if (range === undefined) {
    throw new NodeError(
      "view_expired",
      `Cannot read as of ${wallMs} ms since 1970: this node's history begins later; ` +
        "a longer one is kept with --retain",
    );
  }
  const last = range.to === undefined ? store.publishedIndex : range.to - 1;
  let found = range.from;
  for (let from = Math.max(range.from + 1, log.firstIndex()); from <= last;) {
    const entries = log.entries(from, last, SCAN_BYTES);
    for (const entry of entries) {
      if (entry.type === EntryType.data && decodeEntryBody(entry.data).wallMs > wallMs) return found;
      found = entry.index;
    }
    from += entries.length;
  }
  return found;
}
