import assert from "node:assert/strict";
import { GroupSync } from "./group_sync.ts";

interface Run {
  readonly end: () => void;
  readonly fail: (error: Error) => void;
}

function controlled(): { readonly group: GroupSync; readonly runs: Run[] } {
  const runs: Run[] = [];
  const group = new GroupSync(() => new Promise((end, fail) => runs.push({ end, fail })));
  return { group, runs };
}

Deno.test("GroupSync lets one run and one wait, and never two at once", async () => {
  const { group, runs } = controlled();
  const first = group.run();
  const later = [group.run(), group.run(), group.run()];
  assert.equal(runs.length, 1);
  // A call at the very moment the first run ends must not start beside the queued one.
  const squeezed = first.then(() => group.run());
  runs[0]?.end();
  await first;
  await Promise.resolve();
  assert.equal(runs.length, 2);
  runs[1]?.end();
  await Promise.all(later);
  for (let i = 2; i < runs.length; i++) runs[i]?.end();
  await group.idle();
  await squeezed;
  assert.ok(runs.length <= 3);
  assert.equal(group.running, false);
});

Deno.test("GroupSync fails for good", async () => {
  const { group, runs } = controlled();
  const first = group.run();
  const second = group.run();
  runs[0]?.fail(new Error("broken"));
  await assert.rejects(first, /broken/);
  await assert.rejects(second, /broken/);
  await assert.rejects(group.run(), /broken/);
  assert.equal(runs.length, 1);
  await group.idle();
});
