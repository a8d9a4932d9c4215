import assert from "node:assert/strict";
import { SystemClock } from "./system_clock.ts";

Deno.test("SystemClock moves on, calls back and can be cancelled", async () => {
  const clock = new SystemClock();
  const before = clock.nowMs();
  const cancelled = clock.after(0, () => assert.fail("was cancelled"));
  cancelled();
  await new Promise<void>((resolve) => {
    clock.after(1, resolve);
  });
  assert.ok(clock.nowMs() > before);
  assert.ok(clock.wallMs() > Date.UTC(2024, 0));
});
