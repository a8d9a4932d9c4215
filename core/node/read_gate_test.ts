import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { NodeError } from "../base/errors.ts";
import { ReadGate } from "./read_gate.ts";

class Bench {
  nowMs = 0;
  leads = true;
  leasedIndex: number | undefined;
  readonly asked: number[] = [];
  readonly gate = new ReadGate({
    nowMs: () => this.nowMs,
    readNow: () => this.leasedIndex,
    hasLeader: () => this.leads,
    endOfTurn: queueMicrotask,
    readIndex: (context) => this.asked.push(context),
  }, 100);

  after(milliseconds: number): void {
    this.nowMs += milliseconds;
    this.gate.sweep();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => queueMicrotask(() => queueMicrotask(resolve)));

Deno.test("ReadGate: reads of one turn share a round, later ones never join it", async () => {
  const bench = new Bench();
  const first = [bench.gate.confirm(1_000), bench.gate.confirm(1_000)];
  await turn();
  const later = bench.gate.confirm(1_000);
  await turn();
  deepStrictEqual(bench.asked, [100, 101]);
  bench.gate.onReadState({ context: 100, index: 7, rejected: false });
  deepStrictEqual(await Promise.all(first), [7, 7]);
  bench.gate.onReadState({ context: 101, index: 9, rejected: false });
  strictEqual(await later, 9);
});

Deno.test("ReadGate: a read under a lease neither waits nor asks", async () => {
  const bench = new Bench();
  bench.leasedIndex = 12;
  strictEqual(await bench.gate.confirm(1_000), 12);
  bench.leasedIndex = undefined;
  const read = bench.gate.confirm(1_000);
  await turn();
  deepStrictEqual(bench.asked, [100]);
  bench.gate.onReadState({ context: 100, index: 13, rejected: false });
  strictEqual(await read, 13);
});

Deno.test("ReadGate: a refused or lost round is asked again under a fresh number; a late answer to the old one is ignored", async () => {
  const bench = new Bench();
  const read = bench.gate.confirm(5_000);
  await turn();
  bench.gate.onReadState({ context: 100, index: 0, rejected: true });
  bench.after(30);
  deepStrictEqual(bench.asked, [100, 101]);
  bench.after(600);
  bench.after(30);
  deepStrictEqual(bench.asked, [100, 101, 102]);
  bench.gate.onReadState({ context: 101, index: 3, rejected: false });
  bench.gate.onReadState({ context: 102, index: 8, rejected: false });
  strictEqual(await read, 8);
});

Deno.test("ReadGate: the deadline names what is missing, a leader or a majority", async () => {
  const bench = new Bench();
  const read = bench.gate.confirm(100);
  await turn();
  bench.after(510);
  await rejects(read, { code: "no_quorum" });
  bench.leads = false;
  const other = bench.gate.confirm(bench.nowMs + 100);
  bench.after(110);
  await rejects(other, { code: "no_leader" });
});

Deno.test("ReadGate: a read gives up at its deadline although its round is under way, the others stay", async () => {
  const bench = new Bench();
  const short = bench.gate.confirm(50);
  const long = bench.gate.confirm(1_000);
  await turn();
  bench.after(60);
  await rejects(short, { code: "no_quorum" });
  strictEqual(bench.gate.waitingCount, 1);
  bench.gate.onReadState({ context: 100, index: 7, rejected: false });
  strictEqual(await long, 7);
  strictEqual(bench.gate.waitingCount, 0);
});

Deno.test("ReadGate.rejectAll() also refuses who comes later", async () => {
  const bench = new Bench();
  const waiting = bench.gate.confirm(1_000);
  bench.gate.rejectAll(new NodeError("stopping", "bye"));
  await rejects(waiting, { code: "stopping" });
  await rejects(bench.gate.confirm(1_000), { code: "stopping" });
});
