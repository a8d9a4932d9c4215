import assert from "node:assert/strict";
import { ERROR_CODES, type ErrorCode } from "../../core/base/errors.ts";
import { planRetry, type RetryState } from "./retry.ts";

const STATE: RetryState = {
  repeatable: false,
  attempts: 1,
  attemptsMax: 16,
  freshNodes: 0,
  elapsedMs: 0,
  timeoutMs: 30_000,
  random: 0.5,
};

function plan(code: ErrorCode | "network_error", state: Partial<RetryState> = {}, namedNewLeader = false) {
  const retry = code === "network_error" ? "with_key" : ERROR_CODES[code].retry;
  return planRetry({ code, retry, namedNewLeader }, { ...STATE, ...state });
}

Deno.test("planRetry() repeats exactly what the error list calls safe", () => {
  for (const [code, { retry }] of Object.entries(ERROR_CODES)) {
    assert.equal(plan(code as ErrorCode, { freshNodes: 1 }).again, retry === "safe", code);
    assert.equal(
      plan(code as ErrorCode, { freshNodes: 1, repeatable: true }).again,
      retry !== "never",
      `${code} with a key`,
    );
  }
});

Deno.test("planRetry() repeats an unknown fate only when the call is repeatable", () => {
  assert.deepEqual(plan("commit_unknown"), { again: false, reason: "not_safe" });
  assert.deepEqual(plan("network_error"), { again: false, reason: "not_safe" });
  assert.equal(plan("commit_unknown", { repeatable: true }).again, true);
});

Deno.test("planRetry() ends by attempts and by time", () => {
  assert.deepEqual(plan("no_leader", { attempts: 16 }), { again: false, reason: "attempts" });
  assert.deepEqual(plan("no_leader", { elapsedMs: 29_990 }), { again: false, reason: "time" });
});

Deno.test("planRetry() goes to a fresh node at once when the failed one is the problem", () => {
  assert.deepEqual(plan("stopping", { freshNodes: 1 }), { again: true, pauseMs: 0 });
  assert.deepEqual(plan("no_leader", { freshNodes: 1 }), { again: true, pauseMs: 38 });
  assert.deepEqual(plan("no_leader", { freshNodes: 1 }, true), { again: true, pauseMs: 0 });
  assert.deepEqual(plan("not_leader", { freshNodes: 0 }, true), { again: true, pauseMs: 38 });
});

Deno.test("planRetry() looks for history on every node, and not again where there is none", () => {
  assert.deepEqual(plan("view_expired", { freshNodes: 1 }), { again: true, pauseMs: 0 });
  assert.deepEqual(plan("view_expired", { repeatable: true }), { again: false, reason: "not_safe" });
});

Deno.test("planRetry() pauses longer each time, up to a second, with jitter", () => {
  const pauses = [1, 2, 3, 4, 5, 6, 7, 15].map((attempts) => plan("queue_full", { attempts, random: 0 }));
  assert.deepEqual(
    pauses.map((pause) => pause.again && pause.pauseMs),
    [25, 50, 100, 200, 400, 500, 500, 500],
  );
  const latest = plan("queue_full", { attempts: 15, random: 0.999 });
  assert.ok(latest.again && latest.pauseMs <= 1_000);
});
