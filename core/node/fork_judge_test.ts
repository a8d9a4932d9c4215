import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { metric, NodeCluster } from "../../tests/support/node_cluster.ts";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { crc32 } from "../codec/crc32.ts";
import { LogWalk } from "../log/log_walk.ts";
import { chainHash, RECORD_HEADER_BYTES, writeRecordHeader } from "../log/record.ts";
import { SegmentScanner } from "../log/segment_scanner.ts";
import type { Entry } from "../raft/message.ts";
import { FORK_REPORT_PATH, judge, type LogMark, readForkReport } from "./fork_judge.ts";

const mark = (term: number, hash: number, committed = true): LogMark => ({ term, hash, committed });

Deno.test("judge(): only what a majority of the voters contradicts is wrong (promise 4)", () => {
  const voters = [1, 2, 3];
  strictEqual(judge(mark(2, 7), { 2: mark(2, 8), 3: mark(2, 8) }, voters, 1), "minority");
  strictEqual(
    judge(mark(2, 7), { 2: mark(2, 8), 3: mark(2, 7) }, voters, 1),
    "undecided",
    "one of two others",
  );
  strictEqual(judge(mark(2, 7), { 2: mark(2, 8), 3: null }, voters, 1), "undecided", "one cannot be asked");
  strictEqual(
    judge(null, { 2: mark(2, 8), 3: mark(2, 8) }, voters, 1),
    "undecided",
    "the log does not reach",
  );
  const uncommitted = { 2: mark(3, 8), 3: mark(3, 8) };
  strictEqual(judge(mark(2, 7, false), uncommitted, voters, 1), "undecided", "it may still be replaced");
  strictEqual(judge(mark(2, 7), uncommitted, voters, 1), "minority");
  strictEqual(judge(mark(2, 7), { 2: mark(2, 8), 9: mark(2, 8) }, voters, 1), "undecided", "9 has no vote");
});

/** Changes an entry and everything that depends on it, so that the log alone looks sound. */
function rewriteHistory(disk: SimDisk, from: number): void {
  for (const name of disk.list("raft/log")) {
    const path = `raft/log/${name}`;
    const bytes = disk.contentOf(path);
    const file = disk.openFile(path, "write");
    const [firstIndex, startPosition] = name.replace(".seg", "").split("-").map(Number) as [number, number];
    const base = { index: firstIndex - 1, term: 0, hash: 0 };
    const header = new DataView(bytes.buffer);
    base.term = Number(header.getBigUint64(32, true));
    base.hash = header.getUint32(48, true);
    let hash = base.hash;
    const entries: { entry: Entry; offset: number }[] = [];
    const walk = new LogWalk(base, base.index, (entry, position) => {
      const offset = position - startPosition - RECORD_HEADER_BYTES;
      entries.push({ entry: { ...entry, data: entry.data.slice() }, offset });
    });
    const segment = { firstIndex, startPosition, path, size: bytes.length, header: "not looked at" };
    walk.walkSegment(
      { ...segment, header: decoded(bytes, firstIndex) },
      Infinity,
      new SegmentScanner(file, startPosition),
    );
    for (const { entry, offset } of entries) {
      const { index, term, type, data } = entry;
      if (index === from) data[data.length - 1] = (data[data.length - 1] as number) ^ 1;
      hash = chainHash(hash, term, index, type, data);
      const view = new DataView(bytes.buffer);
      const synced = Number(view.getBigUint64(offset + 32, true));
      const committed = Number(view.getBigUint64(offset + 40, true));
      bytes.set(data, offset + RECORD_HEADER_BYTES);
      writeRecordHeader(bytes, view, offset, {
        type,
        index,
        term,
        hash,
        bodyLength: data.length,
        bodyCrc: crc32(data),
        syncedIndex: synced,
        commitIndex: committed,
        position: startPosition + offset,
      });
    }
    file.close();
    disk.putFile(path, bytes);
  }
}

function decoded(bytes: Uint8Array, firstIndex: number) {
  const view = new DataView(bytes.buffer);
  return {
    clusterId: bytes.slice(8, 24),
    base: {
      index: firstIndex - 1,
      term: Number(view.getBigUint64(32, true)),
      hash: view.getUint32(48, true),
    },
    startPosition: Number(view.getBigUint64(40, true)),
    syncedIndex: Number(view.getBigUint64(52, true)),
    beginsLog: true,
  };
}

for (const id of [1, 3]) {
  Deno.test(`Node ${id} stops with a report when its log and those of the others disagree (promise 4)`, async () => {
    const cluster = await NodeCluster.start(3);
    await cluster.finish(cluster.write(1, "CREATE TABLE t (a)"));
    for (let i = 0; i < 10; i++) await cluster.finish(cluster.write(1, `INSERT INTO t VALUES (${i})`));
    const tip = metric(cluster.node(id), "commit_index");
    await cluster.advance(500);
    cluster.crash(id);
    const { disk, fatal } = cluster.member(id);
    rewriteHistory(disk, tip - 3);
    await cluster.boot(id);
    for (let i = 0; fatal.length === 0; i++) {
      ok(i < 100, `the fork was not found: ${JSON.stringify(cluster.events.slice(-10))}`);
      cluster.write(2, "INSERT INTO t VALUES ('after')", { timeoutMs: 1_000 }).catch(() => {});
      await cluster.advance(100);
    }
    ok(/hold other entries at/.test(fatal[0]!.message), fatal[0]!.message);
    const report = readForkReport(disk);
    ok(report !== undefined && disk.exists(FORK_REPORT_PATH));
    strictEqual(report.nodeId, id);
    for (const other of [1, 2, 3]) if (other !== id) deepStrictEqual(cluster.member(other).fatal, []);
  });
}
