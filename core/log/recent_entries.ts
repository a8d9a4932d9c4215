import type { LogIndex } from "../base/ids.ts";
import type { Entry } from "../raft/message.ts";

/** What an Entry costs besides its data. */
const ENTRY_OVERHEAD_BYTES = 128;

/** The newest entries of the log as they were appended, up to a bound in bytes, for followers that keep up. */
export class RecentEntries {
  readonly #bytesMax: number;
  /** Consecutive; those before `#head` are gone. */
  #entries: (Entry | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The entries follow those that are here, or replace them after a truncation. */
  push(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#bytes += cost(entry);
    }
    while (this.#bytes > this.#bytesMax) this.#dropFirst();
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Infinity when there is none. */
  get firstIndex(): LogIndex {
    return this.#entries[this.#head]?.index ?? Infinity;
  }

  get(index: LogIndex): Entry | undefined {
    const first = this.#entries[this.#head];
    return first === undefined || index < first.index
      ? undefined
      : this.#entries[this.#head + index - first.index];
  }

  truncateFrom(index: LogIndex): void {
    for (
      let last = this.#entries.at(-1);
      last !== undefined && last.index >= index;
      last = this.#entries.at(-1)
    ) {
      this.#bytes -= cost(last);
      this.#entries.pop();
    }
    if (this.#head >= this.#entries.length) this.clear();
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #dropFirst(): void {
    this.#bytes -= cost(this.#entries[this.#head] as Entry);
    this.#entries[this.#head++] = undefined;
  }
}

function cost(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}
