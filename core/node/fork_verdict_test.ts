import { ok, strictEqual } from "node:assert/strict";
import fastCheck from "fast-check";
import type { Electorate } from "../raft/quorum.ts";
import { forkVerdict, type LogMark, type LogMarks } from "./fork_verdict.ts";

const mark = (term: number, hash: number, committed = true): LogMark => ({ term, hash, committed });
const three: Electorate = { voters: [1, 2, 3], votersOutgoing: [] };

function verdictOf(ours: LogMark | null, theirs: LogMarks, electorate = three): string {
  return forkVerdict(ours, theirs, electorate, 1);
}

Deno.test("forkVerdict() needs a majority that agrees with each other (promise 4)", () => {
  strictEqual(verdictOf(mark(2, 7), { 2: mark(2, 8), 3: mark(2, 8) }), "minority");
  strictEqual(verdictOf(mark(2, 7), { 2: mark(2, 8), 3: mark(2, 7) }), "majority");
  strictEqual(verdictOf(mark(2, 7), { 2: mark(2, 8), 3: null }), "undecided", "one cannot be asked");
  strictEqual(verdictOf(mark(2, 7), { 2: mark(2, 8), 3: mark(2, 9) }), "undecided", "three versions");
  strictEqual(verdictOf(null, { 2: mark(2, 8), 3: mark(2, 8) }), "undecided", "our log does not reach");
  const five = { voters: [1, 2, 3, 4, 5], votersOutgoing: [] };
  const scattered = { 2: mark(2, 8), 3: mark(2, 8), 4: mark(2, 9), 5: mark(2, 9) };
  strictEqual(verdictOf(mark(2, 7), scattered, five), "undecided", "all contradict us, and each other");
  strictEqual(verdictOf(mark(2, 7), { ...scattered, 4: mark(2, 8) }, five), "minority");
});

Deno.test("forkVerdict() takes another term for a fork only where both know the entry to be committed", () => {
  const others = { 2: mark(3, 8), 3: mark(3, 8) };
  strictEqual(verdictOf(mark(2, 7), others), "minority");
  strictEqual(verdictOf(mark(2, 7, false), others), "undecided", "ours will be replaced");
  const open = mark(3, 8, false);
  strictEqual(verdictOf(mark(2, 7), { 2: open, 3: open }), "undecided", "theirs may be replaced");
  strictEqual(verdictOf(mark(2, 7), { 2: open, 3: mark(3, 8) }), "minority", "one of them knows");
  strictEqual(
    verdictOf(mark(3, 7, false), { 2: open, 3: open }),
    "minority",
    "the same term is one leader's",
  );
});

Deno.test("forkVerdict() asks voters only, and both sides of a joint configuration", () => {
  strictEqual(verdictOf(mark(2, 7), { 2: mark(2, 8), 9: mark(2, 8) }), "undecided", "9 has no vote");
  const learner = { voters: [2, 3, 4], votersOutgoing: [] };
  strictEqual(verdictOf(mark(2, 7), { 2: mark(2, 8), 3: mark(2, 8) }, learner), "minority");
  const joint = { voters: [1, 2, 3], votersOutgoing: [1, 4, 5] };
  const incoming = { 2: mark(2, 8), 3: mark(2, 8) };
  strictEqual(verdictOf(mark(2, 7), incoming, joint), "undecided");
  strictEqual(verdictOf(mark(2, 7), { ...incoming, 4: mark(2, 8), 5: mark(2, 8) }, joint), "minority");
  strictEqual(verdictOf(mark(2, 7), {}, { voters: [], votersOutgoing: [] }), "undecided", "nobody votes");
});

Deno.test("forkVerdict() never stops so many that no majority is left", () => {
  const oneMark = fastCheck.record({
    term: fastCheck.integer({ min: 1, max: 2 }),
    hash: fastCheck.integer({ min: 1, max: 2 }),
    committed: fastCheck.boolean(),
  });
  const answers = fastCheck.array(fastCheck.option(oneMark), { minLength: 1, maxLength: 7 });
  fastCheck.assert(
    fastCheck.property(answers, (marks) => {
      const voters = marks.map((_, i) => i + 1);
      const known = Object.fromEntries(marks.map((mark, i) => [i + 1, mark]));
      const verdicts = voters.map((id) => {
        const { [id]: ours, ...theirs } = known;
        return forkVerdict(ours ?? null, theirs, { voters, votersOutgoing: [] }, id);
      });
      const stopped = verdicts.filter((verdict) => verdict === "minority").length;
      ok((voters.length - stopped) * 2 > voters.length);
      if (stopped > 0) ok(verdicts.filter((verdict) => verdict === "majority").length * 2 > voters.length);
    }),
  );
});
