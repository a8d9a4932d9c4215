import { deepStrictEqual } from "node:assert/strict";
import { type CpuProfile, hottestFunctions, timeByStage } from "./cpu_profile.ts";

const frame = (functionName: string, url = "") => ({ functionName, url, lineNumber: 9 });

/** A write to a socket inside the HTTP layer, one by itself, work in Raft, and nothing to do. */
const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 4, 5, 6] },
    { id: 2, callFrame: frame("send", "file:///x/net/http/response_writer.ts"), children: [3] },
    { id: 3, callFrame: frame("op_write", "ext:core/01_core.js") },
    { id: 4, callFrame: frame("op_write", "ext:core/01_core.js") },
    { id: 5, callFrame: frame("step", "file:///x/core/raft/raft.ts") },
    { id: 6, callFrame: frame("(idle)") },
  ],
  samples: [2, 3, 4, 5, 6],
  timeDeltas: [0, 10, 20, 30, 40, 50],
};

Deno.test("timeByStage: the time after a sample is its own, and what Deno does counts for its caller", () => {
  deepStrictEqual([...timeByStage(PROFILE)], [
    ["answer", 30],
    ["Deno and system calls", 30],
    ["Raft", 40],
    ["idle", 50],
  ]);
});

Deno.test("hottestFunctions: by their own time, without idling", () => {
  deepStrictEqual(hottestFunctions(PROFILE, 2), [
    { name: "op_write ext:core/01_core.js:10", us: 50 },
    { name: "step core/raft/raft.ts:10", us: 40 },
  ]);
});
