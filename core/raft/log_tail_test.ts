import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { logOf, membershipOf, type MemoryLog } from "../../tests/support/raft_node.ts";
import { encodeMembership } from "./membership.ts";
import { LogTail } from "./log_tail.ts";
import type { Entry } from "./message.ts";

const BYTES = 1_000;

function newLog(terms: readonly number[]): { driver: MemoryLog; tail: LogTail } {
  const driver = logOf(membershipOf([1]), terms);
  return { driver, tail: new LogTail(driver) };
}

/** As the core makes entries: behind what it sees. */
function entry(tail: LogTail, term: number): Entry {
  const index = tail.lastIndex + 1;
  return { index, term, type: 2, hash: index * 100 + term, data: new Uint8Array(3) };
}

Deno.test("LogTail shows new entries at once and hands them out once", () => {
  const { driver, tail } = newLog([1, 1]);
  tail.append(entry(tail, 2));
  deepStrictEqual([tail.lastIndex, tail.lastTerm, tail.termAt(4), tail.hasPending], [4, 2, 2, true]);
  driver.append(tail.take());
  deepStrictEqual([tail.lastIndex, tail.termAt(4), tail.hasPending], [4, 2, false]);
  deepStrictEqual(tail.take(), []);
});

Deno.test("LogTail hides what is replaced although the driver still has it", () => {
  const { driver, tail } = newLog([1, 1, 1]);
  tail.truncateFrom(3);
  deepStrictEqual([tail.lastIndex, tail.termAt(3), tail.hashAt(4)], [2, undefined, undefined]);
  tail.append(entry(tail, 2));
  deepStrictEqual([tail.termAt(3), tail.termAt(4), driver.lastIndex()], [2, undefined, 4]);
  deepStrictEqual(tail.entries(2, BYTES).map(({ term }) => term), [1]);
  deepStrictEqual(tail.entries(3, BYTES).map(({ term }) => term), [2]);
  driver.append(tail.take());
  deepStrictEqual(tail.entries(2, BYTES).map(({ term }) => term), [1, 2]);
});

Deno.test("LogTail.entries() gives one entry of any size, and no stale ones after a replacement", () => {
  const { tail } = newLog([1, 1, 1]);
  strictEqual(tail.entries(2, 1).length, 1);
  strictEqual(tail.entries(2, BYTES).length, 3);
  tail.truncateFrom(3);
  tail.append(entry(tail, 5));
  deepStrictEqual(tail.entries(2, BYTES).map(({ index, term }) => [index, term]), [[2, 1]]);
  deepStrictEqual(tail.entries(9, BYTES), []);
});

Deno.test("LogTail refuses gaps, terms that go back, and a driver that did not append", () => {
  const { tail } = newLog([3]);
  throws(() => tail.append({ ...entry(tail, 3), index: 9 }), /Cannot append entry 9/);
  throws(() => tail.append(entry(tail, 2)), /term 2/);
  tail.append(entry(tail, 3));
  tail.take();
  throws(() => tail.take(), /append each output at once/);
});

Deno.test("LogTail.reset() follows a log that begins behind a snapshot", () => {
  const { driver, tail } = newLog([1]);
  driver.restart({ index: 40, term: 7, hash: 99, membership: encodeMembership(membershipOf([1])) });
  tail.reset();
  deepStrictEqual([tail.firstIndex, tail.lastIndex, tail.lastTerm, tail.lastHash], [41, 40, 7, 99]);
  deepStrictEqual([tail.termAt(40), tail.termAt(39), tail.termAt(41)], [7, undefined, undefined]);
});

Deno.test("LogTail.lastIndexWithTermAtMost() finds what walking down finds", () => {
  const steps = fc.array(fc.nat(2), { minLength: 1, maxLength: 12 });
  fc.assert(fc.property(steps, fc.nat(14), fc.nat(20), fc.nat(8), (rises, from, term, compacted) => {
    let last = 1;
    const { driver, tail } = newLog(rises.map((rise) => last += rise));
    const base = Math.min(compacted, driver.lastIndex());
    if (base > 0) {
      const [baseTerm, hash] = [driver.termAt(base)!, driver.hashAt(base)!];
      driver.compact({ index: base, term: baseTerm, hash, membership: new Uint8Array() });
    }
    let walked = Math.min(from, tail.lastIndex);
    while (walked >= base && walked > 0 && tail.termAt(walked)! > term) walked--;
    strictEqual(tail.lastIndexWithTermAtMost(from, term), walked);
  }));
});

Deno.test("LogTail equals a plain list under appends, replacements and outputs", () => {
  const step = fc.record({ kind: fc.constantFrom("append", "cut", "take"), at: fc.nat(9) });
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const { driver, tail } = newLog([1]);
    const model = driver.list.map(({ term }) => term);
    let term = 1;
    for (const { kind, at } of steps) {
      if (kind === "take") driver.append(tail.take());
      else {
        const from = Math.max(1, model.length - at % 3);
        if (kind === "cut" && from <= model.length) {
          tail.truncateFrom(from);
          model.length = from - 1;
        }
        tail.append(entry(tail, ++term));
        model.push(term);
      }
      const seen = Array.from({ length: tail.lastIndex }, (_, i) => tail.termAt(i + 1));
      deepStrictEqual(seen, model);
    }
  }));
});
