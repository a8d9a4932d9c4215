import { doesNotThrow, throws } from "node:assert/strict";
import { BENCH_OPTIONS } from "../../tests/support/raft_bench.ts";
import { checkRaftOptions } from "./options.ts";

Deno.test("checkRaftOptions() refuses values with which elections or replication could not work", () => {
  doesNotThrow(() => checkRaftOptions(BENCH_OPTIONS));
  throws(() => checkRaftOptions({ ...BENCH_OPTIONS, id: 0 }), /id = 0/);
  throws(() => checkRaftOptions({ ...BENCH_OPTIONS, appendsInFlightMax: 1.5 }), /appendsInFlightMax = 1.5/);
  throws(() => checkRaftOptions({ ...BENCH_OPTIONS, electionTicks: 3, heartbeatTicks: 3 }), /above/);
});
