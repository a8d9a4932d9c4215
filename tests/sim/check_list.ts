import type { History, Read, Write } from "./history.ts";

/**
 * Appends to one list per database order everything: each read shows a beginning of the final list, as long as the index
 * says, and nothing twice; in real time linearizable reads show never less than was acknowledged or shown before
 * (Kingsbury and Alvaro 2020, list append).
 *
 * @param final the list after the cluster was healed
 * @throws Error
 */
export function checkList(history: History, database: string, final: readonly number[]): void {
  const what = `List of ${database}`;
  const appends = new Map(
    history.writes.filter((write) => write.kind === "append" && write.database === database)
      .map((write) => [write.value, write]),
  );
  if (new Set(final).size !== final.length) throw new Error(`${what} holds an item twice: ${final}`);
  for (const item of final) {
    const append = appends.get(item);
    if (append === undefined) throw new Error(`${what} holds ${item}, which nobody appended`);
    if (append.fate === "no") {
      throw new Error(`${what} holds ${item}, whose writer heard that nothing happened`);
    }
  }
  const places = new Map(final.map((item, place) => [item, place]));
  for (const { value, fate } of appends.values()) {
    if (fate === "ok" && !places.has(value)) throw new Error(`${what} lost ${value}, which was acknowledged`);
  }
  const reads = history.reads.filter((read) => read.kind === "list" && read.database === database)
    .sort((a, b) => a.askedAt - b.askedAt);
  for (const read of reads) checkBeginning(what, read, final);
  checkIndexes(what, reads, [...appends.values()], places);
  checkRealTime(what, reads.filter(({ isLinearizable }) => isLinearizable), [...appends.values()], places);
  checkOrder(what, [...appends.values()], places);
}

function checkBeginning(what: string, { items, index }: Read, final: readonly number[]): void {
  if (items.every((item, i) => item === final[i])) return;
  throw new Error(`${what} showed ${items} at index ${index}, which is no beginning of ${final}`);
}

/** What is shown at an index is what entries up to there have written (promises 2 and 4). */
function checkIndexes(
  what: string,
  reads: readonly Read[],
  appends: readonly Write[],
  places: ReadonlyMap<number, number>,
): void {
  const sorted = [...reads].sort((a, b) => a.index - b.index);
  for (const [i, { index, items }] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next === undefined) break;
    const isRight = next.index === index
      ? next.items.length === items.length
      : next.items.length >= items.length;
    if (isRight) continue;
    throw new Error(
      `${what} has ${items.length} items at index ${index}, and ${next.items.length} at ${next.index}`,
    );
  }
  for (const { value, index } of appends) {
    if (index === undefined) continue;
    for (const read of reads) {
      const isShown = (places.get(value) as number) < read.items.length;
      if (isShown === index <= read.index) continue;
      throw new Error(
        `${what} ${isShown ? "shows" : "hides"} ${value}, written at ${index}, at index ${read.index}`,
      );
    }
  }
}

function checkRealTime(
  what: string,
  reads: readonly Read[],
  appends: readonly Write[],
  places: ReadonlyMap<number, number>,
): void {
  for (const read of reads) {
    for (const { value, answeredAt } of appends) {
      if (answeredAt < read.askedAt && (places.get(value) as number) >= read.items.length) {
        throw new Error(`${what} did not show ${value}, acknowledged at ${answeredAt}, at ${read.askedAt}`);
      }
    }
    for (const earlier of reads) {
      if (earlier.answeredAt < read.askedAt && earlier.items.length > read.items.length) {
        throw new Error(
          `${what} showed ${earlier.items.length} items at ${earlier.answeredAt}, then ${read.items.length}`,
        );
      }
    }
    for (const { value, askedAt } of appends) {
      const place = places.get(value);
      if (place !== undefined && place < read.items.length && askedAt > read.answeredAt) {
        throw new Error(
          `${what} showed ${value} at ${read.answeredAt}, before it was appended at ${askedAt}`,
        );
      }
    }
  }
}

/** An append that was acknowledged before another one was asked for comes first. */
function checkOrder(what: string, appends: readonly Write[], places: ReadonlyMap<number, number>): void {
  for (const first of appends) {
    for (const second of appends) {
      const before = places.get(first.value);
      const after = places.get(second.value);
      if (before === undefined || after === undefined || first.answeredAt >= second.askedAt) continue;
      if (before > after) {
        throw new Error(`${what} has ${first.value} after ${second.value}, which was appended later`);
      }
    }
  }
}
