import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import {
  explainFork,
  FORK_REPORT_PATH,
  type ForkReport,
  readForkReport,
  writeForkReport,
} from "./fork_report.ts";

const REPORT: ForkReport = {
  wallMs: 1_700_000_000_000,
  nodeId: 3,
  index: 41,
  reason: "hash_differs",
  ours: { term: 2, hash: 0xab, committed: true },
  theirs: { 1: { term: 2, hash: 0xcd, committed: true }, 2: null },
};

Deno.test("writeForkReport() leaves a file for people that survives a power failure", async () => {
  const disk = new SimDisk({ seed: 1 });
  strictEqual(readForkReport(disk), undefined);
  await writeForkReport(disk, REPORT);
  disk.crash();
  const file = JSON.parse(new TextDecoder().decode(disk.contentOf(FORK_REPORT_PATH)));
  match(file.whatToDo, /join again with an empty folder/);
  deepStrictEqual(file, { formatVersion: 1, ...JSON.parse(JSON.stringify(REPORT)), whatToDo: file.whatToDo });
  const read = readForkReport(disk);
  deepStrictEqual(read && explainFork(read), explainFork(REPORT));
});

Deno.test("explainFork() names the file, the index, what each holds and what to do", () => {
  const text = explainFork(REPORT);
  match(text, /the log of node 3/);
  match(text, /at entry 41 it holds term 2, running hash 000000ab, committed/);
  match(text, /member 1 term 2, running hash 000000cd, committed, member 2 nothing/);
  match(text, /fork\.json/);
  match(text, /remove this node from the cluster .* empty folder/);
  match(text, /delete fork\.json to try again/);
});

Deno.test("readForkReport() does not take a damaged report for none", async () => {
  const disk = new SimDisk({ seed: 1 });
  await writeForkReport(disk, REPORT);
  const whole = new TextDecoder().decode(disk.contentOf(FORK_REPORT_PATH));
  for (const text of ["", "null", "{}", whole.slice(0, 100), whole.replace('"theirs"', '"thiers"')]) {
    disk.putFile(FORK_REPORT_PATH, new TextEncoder().encode(text));
    throws(() => readForkReport(disk), /Cannot read fork\.json.*damaged.*delete fork\.json/);
  }
});
