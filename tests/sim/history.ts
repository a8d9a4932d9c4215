/** What clients asked and heard, in the order it happened. `at` numbers count asks and answers of the whole run. */

/**
 * - `ok`: the answer was a success.
 * - `no`: the answer was an error that says nothing happened.
 * - `unknown`: it may have happened, then or later.
 */
export type Fate = "ok" | "no" | "unknown";

export interface Write {
  readonly database: string;
  readonly kind: "put" | "append" | "once" | "group";
  /** Key of a put; number of a group. */
  readonly key: string;
  /** Unique in the run; size of a group. */
  readonly value: number;
  readonly askedAt: number;
  answeredAt: number;
  fate: Fate | "open";
  /** Of the entry it is in, when the answer was a success. */
  index: number | undefined;
}

export interface Read {
  readonly database: string;
  readonly kind: "get" | "list";
  readonly key: string;
  /** Other levels may show the past; what they show is right for their index all the same. */
  readonly isLinearizable: boolean;
  readonly askedAt: number;
  readonly answeredAt: number;
  /** Of a get; undefined when there is none. */
  readonly value: number | undefined;
  /** Of a list. */
  readonly items: readonly number[];
  readonly index: number;
}

export class History {
  readonly writes: Write[] = [];
  readonly reads: Read[] = [];
  /** Answers by operation and code, for people. */
  readonly counts = new Map<string, number>();
  onCount: (what: string) => void = () => {};
  #at = 0;
  #value = 0;

  /** The next place in the order of asks and answers. */
  tick(): number {
    return ++this.#at;
  }

  nextValue(): number {
    return ++this.#value;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    this.onCount(what);
  }

  ask(write: Pick<Write, "database" | "kind" | "key" | "value">): Write {
    const asked: Write = {
      ...write,
      askedAt: this.tick(),
      answeredAt: Infinity,
      fate: "open",
      index: undefined,
    };
    this.writes.push(asked);
    return asked;
  }

  answer(write: Write, fate: Fate, index?: number): void {
    write.fate = fate;
    write.index = index;
    if (fate === "ok") write.answeredAt = this.tick();
  }

  /** Writes of a kind that may have happened. */
  possible(kind: Write["kind"], database: string): Write[] {
    return this.writes.filter((write) =>
      write.kind === kind && write.database === database && write.fate !== "no"
    );
  }
}
