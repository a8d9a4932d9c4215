import type { History, Read, Write } from "./history.ts";

interface Step {
  readonly begin: number;
  readonly end: number;
  readonly value: number | undefined;
  readonly isWrite: boolean;
}

/** Places looked at before a key is given up as too large to decide; never reached by the runs of the swarm. */
const VISITS_MAX = 200_000;

/**
 * Whether the gets and puts of one key can be put into an order in which every get shows the last put before it, and
 * which agrees with what was answered before something else was asked (Herlihy and Wing 1990; the search is Wing and
 * Gong's with the visited states remembered, Lowe 2017).
 *
 * @throws Error that names the key
 */
export function checkRegister(history: History, database: string, key: string): void {
  const gets = history.reads.filter((read) =>
    read.kind === "get" && read.database === database && read.key === key
  );
  const puts = history.writes.filter((write) =>
    write.kind === "put" && write.database === database && write.key === key
  );
  const seen = new Set(gets.map(({ value }) => value));
  for (const put of puts) {
    if (put.fate === "no" && seen.has(put.value)) {
      throw new Error(`Key ${database}/${key} shows ${put.value}, whose writer heard that nothing happened`);
    }
  }
  // A put of unknown fate that nobody has seen may as well not have happened.
  const counted = puts.filter((put) => put.fate === "ok" || (put.fate !== "no" && seen.has(put.value)));
  if (!canOrder([...counted.map(toPut), ...gets.map(toGet)])) {
    throw new Error(`Key ${database}/${key} is not linearizable: ${describe(counted, gets)}`);
  }
}

function toPut({ askedAt, answeredAt, value }: Write): Step {
  return { begin: askedAt, end: answeredAt, value, isWrite: true };
}

function toGet({ askedAt, answeredAt, value }: Read): Step {
  return { begin: askedAt, end: answeredAt, value, isWrite: false };
}

function canOrder(steps: readonly Step[]): boolean {
  const all = [...steps].sort((a, b) => a.begin - b.begin);
  const visited = new Set<string>();
  let visits = 0;
  const search = (done: ReadonlySet<number>, value: number | undefined): boolean => {
    if (done.size === all.length) return true;
    const state = `${[...done].sort((a, b) => a - b).join()}|${value}`;
    if (visited.has(state)) return false;
    visited.add(state);
    if (++visits > VISITS_MAX) throw new Error("A key has more concurrent operations than can be checked");
    let earliestEnd = Infinity;
    for (const [i, step] of all.entries()) if (!done.has(i)) earliestEnd = Math.min(earliestEnd, step.end);
    for (const [i, step] of all.entries()) {
      // Nothing may come before what had ended when it began.
      if (done.has(i) || step.begin > earliestEnd) continue;
      if (!step.isWrite && step.value !== value) continue;
      if (search(new Set([...done, i]), step.isWrite ? step.value : value)) return true;
    }
    return false;
  };
  return search(new Set(), undefined);
}

function describe(puts: readonly Write[], gets: readonly Read[]): string {
  const told = [
    ...puts.map((put) => ({
      at: put.askedAt,
      text: `[${put.askedAt}, ${put.answeredAt}] put ${put.value} ${put.fate}`,
    })),
    ...gets.map((get) => ({
      at: get.askedAt,
      text: `[${get.askedAt}, ${get.answeredAt}] get ${get.value} at ${get.index}`,
    })),
  ];
  return told.sort((a, b) => a.at - b.at).map(({ text }) => text).join("; ");
}
