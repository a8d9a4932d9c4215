import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { testChainHash } from "../../tests/support/raft_node.ts";
import { Progress } from "./progress.ts";

const OPTIONS = {
  id: 1,
  electionTicks: 5,
  heartbeatTicks: 1,
  appendBytesMax: 100,
  appendsInFlightMax: 2,
  appendBytesInFlightMax: 100,
  uncommittedBytesMax: 100,
  chainHash: testChainHash,
};
const FIRST_INDEX = 1;

const newProgress = (next: number) => new Progress(2, next, 0, OPTIONS);

Deno.test("Progress probes with one append at a time", () => {
  const progress = newProgress(5);
  progress.sent(7, 10);
  deepStrictEqual([progress.state, progress.next, progress.probeOut], ["probe", 5, true]);
});

Deno.test("Progress replicates from the first acceptance on and counts what is under way", () => {
  const progress = newProgress(5);
  progress.accepted(4, FIRST_INDEX);
  deepStrictEqual([progress.state, progress.match, progress.next], ["replicate", 4, 5]);
  progress.sent(6, 10);
  progress.sent(9, 10);
  deepStrictEqual([progress.next, progress.inFlight.count, progress.inFlight.full], [10, 2, true]);
  progress.accepted(9, FIRST_INDEX);
  deepStrictEqual([progress.match, progress.inFlight.count], [9, 0]);
});

Deno.test("Progress never takes back what a follower acknowledged when an old answer comes late", () => {
  const progress = newProgress(5);
  progress.accepted(9, FIRST_INDEX);
  progress.accepted(3, FIRST_INDEX);
  deepStrictEqual([progress.match, progress.next], [9, 10]);
  strictEqual(progress.rejected(8, 2), false);
  deepStrictEqual([progress.match, progress.state], [9, "replicate"]);
});

Deno.test("Progress goes back to where the logs are known to agree when a refusal shows a loss", () => {
  const progress = newProgress(5);
  progress.accepted(4, FIRST_INDEX);
  progress.sent(6, 10);
  progress.sent(8, 10);
  strictEqual(progress.rejected(6, 4), true);
  deepStrictEqual([progress.state, progress.next, progress.inFlight.count], ["probe", 5, 0]);
});

Deno.test("Progress follows a hint while it probes, but only of the append that is out", () => {
  const progress = newProgress(10);
  strictEqual(progress.rejected(12, 3), false);
  strictEqual(progress.rejected(9, 3), true);
  strictEqual(progress.next, 4);
  strictEqual(progress.rejected(9, 1), false);
  strictEqual(progress.next, 4);
  // A hint never leads above the place that was refused, or below what is acknowledged.
  strictEqual(progress.rejected(3, 8), true);
  strictEqual(progress.next, 3);
});

Deno.test("Progress leaves the snapshot state when the log can go on, whichever snapshot it was", () => {
  const progress = newProgress(5);
  progress.becomeSnapshot(20, 1);
  throws(() => progress.sent(21, 1), /waits for a snapshot/);
  strictEqual(progress.rejected(4, 2), false);
  progress.accepted(12, 15);
  strictEqual(progress.state, "snapshot");
  progress.accepted(14, 15);
  deepStrictEqual([progress.state, progress.next], ["replicate", 15]);
});

Deno.test("Progress keeps match below next and never lowers match, whatever answers come", () => {
  const answer = fc.oneof(
    fc.record({ kind: fc.constant("accepted" as const), a: fc.nat(20), b: fc.nat(20) }),
    fc.record({ kind: fc.constant("rejected" as const), a: fc.nat(20), b: fc.nat(20) }),
    fc.record({ kind: fc.constant("sent" as const), a: fc.nat(3), b: fc.nat(9) }),
    fc.record({ kind: fc.constant("snapshot" as const), a: fc.nat(20), b: fc.nat(3) }),
    fc.record({ kind: fc.constant("probe" as const), a: fc.nat(20), b: fc.nat(3) }),
  );
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.array(answer), (next, answers) => {
    const progress = newProgress(next);
    for (const { kind, a, b } of answers) {
      const before = progress.match;
      if (kind === "accepted") progress.accepted(a, b);
      if (kind === "rejected") progress.rejected(a, b);
      if (kind === "snapshot") progress.becomeSnapshot(a, 0);
      if (kind === "probe") progress.becomeProbe(a);
      const sendable = progress.state === "probe" ||
        (progress.state === "replicate" && !progress.inFlight.full);
      if (kind === "sent" && sendable) progress.sent(progress.next - 1 + a, b);
      strictEqual(progress.match >= before && progress.match < progress.next, true);
    }
  }));
});
