import assert from "node:assert/strict";
import { SimDisk } from "../../tests/support/sim_disk.ts";
import { DamageError } from "./damage.ts";
import { decodeState, encodeState, HARD_STATE_PATH, HardStateFile } from "./hard_state.ts";

Deno.test("HardStateFile begins empty and keeps what was saved", async () => {
  const disk = new SimDisk({ seed: 1 });
  const file = await HardStateFile.open(disk);
  assert.deepEqual(file.value, { term: 0, vote: 0 });
  assert.equal(file.base, undefined);
  await file.save({ term: 3, vote: 2 });
  const base = { index: 90, term: 2, hash: 0xfedc_ba98, membership: new Uint8Array([1, 2, 3]) };
  await file.saveBase(base);
  await file.save({ term: 4, vote: 0 });
  disk.crash();
  const again = await HardStateFile.open(disk);
  assert.deepEqual(again.value, { term: 4, vote: 0 });
  assert.deepEqual(again.base, base);
});

Deno.test("HardStateFile does not name a base that found no room: the log would be shortened without it", async () => {
  const disk = new SimDisk({ seed: 1 });
  const file = await HardStateFile.open(disk);
  const base = { index: 90, term: 2, hash: 7, membership: new Uint8Array([1]) };
  const { capacityBytes } = disk;
  disk.capacityBytes = 0;
  await assert.rejects(file.saveBase(base), { code: "disk_full" });
  assert.equal(file.base, undefined);
  disk.capacityBytes = capacityBytes;
  await file.saveBase(base);
  assert.deepEqual(file.base, base);
});

Deno.test("HardStateFile refuses to take back a term or a vote (promise 1)", async () => {
  const file = await HardStateFile.open(new SimDisk({ seed: 2 }));
  await file.save({ term: 3, vote: 2 });
  assert.throws(() => file.save({ term: 2, vote: 0 }), /Cannot save term 2, vote 0 over term 3, vote 2/);
  assert.throws(() => file.save({ term: 3, vote: 1 }));
  assert.throws(() => file.save({ term: 3, vote: 0 }));
  await file.save({ term: 3, vote: 2 });
});

Deno.test("HardStateFile survives a power failure at every operation with the old state or the new one", async () => {
  for (let crashAt = 1;; crashAt++) {
    const disk = new SimDisk({ seed: crashAt });
    await (await HardStateFile.open(disk)).save({ term: 1, vote: 1 });
    disk.crashAtOperation(disk.operationCount + crashAt);
    let acknowledged = { term: 1, vote: 1 };
    try {
      const file = await HardStateFile.open(disk);
      for (let term = 2; term < 5; term++) {
        const next = { term, vote: term };
        await file.save(next);
        acknowledged = next;
      }
    } catch (error) {
      if (!disk.isDown) throw error;
    }
    const isDone = !disk.isDown;
    disk.crash();
    const { value } = await HardStateFile.open(disk);
    assert.ok(
      value.term === acknowledged.term || value.term === acknowledged.term + 1,
      `${value.term} after ${acknowledged.term}`,
    );
    // What a start has seen stays, whatever happens next.
    disk.crash();
    assert.deepEqual((await HardStateFile.open(disk)).value, value);
    if (isDone) break;
  }
});

Deno.test("HardStateFile saves that overlap share a write, and a failed one is final", async () => {
  const disk = new SimDisk({ seed: 3 });
  const file = await HardStateFile.open(disk);
  let renames = 0;
  disk.onOperation = ({ kind }) => {
    if (kind === "rename") renames++;
  };
  await Promise.all([1, 2, 3, 4].map((term) => file.save({ term, vote: 0 })));
  assert.equal(renames, 2);
  disk.failNextSyncs(1);
  await assert.rejects(file.save({ term: 5, vote: 0 }), /Input\/output error/);
  await assert.rejects(file.save({ term: 6, vote: 0 }), /Input\/output error/);
  disk.crash();
  assert.deepEqual((await HardStateFile.open(disk)).value, { term: 4, vote: 0 });
});

Deno.test("decodeState() takes no flipped bit and no shortened file for a state", async () => {
  const bytes = encodeState({
    hardState: { term: 7, vote: 3 },
    base: { index: 5, term: 6, hash: 1, membership: new Uint8Array(20) },
  });
  for (let at = 0; at < bytes.length; at++) {
    const flipped = bytes.slice();
    flipped[at] = (flipped[at] as number) ^ (1 << at % 8);
    assert.throws(() => decodeState(flipped), DamageError);
    assert.throws(() => decodeState(bytes.slice(0, at)), DamageError);
  }
  const disk = new SimDisk({ seed: 4 });
  disk.putFile(HARD_STATE_PATH, bytes.slice(0, 30));
  await assert.rejects(HardStateFile.open(disk), /Cannot read raft\/state: .* never guessed at/);
});
