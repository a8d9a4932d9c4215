import assert from "node:assert/strict";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { EntryTable } from "./entry_table.ts";

Deno.test("EntryTable agrees with a plain list through appends, truncations and removals", () => {
  const random = new SeededRandom(1);
  const table = new EntryTable({ index: 10, term: 1, hash: 5 });
  let list = [{ index: 10, term: 1, hash: 5, position: 0, length: 0 }];
  for (let step = 0; step < 20_000; step++) {
    const { index } = list.at(-1) as { index: number };
    const draw = random.next();
    if (draw < 0.98) {
      const entry = { term: step, hash: random.word(), position: step * 100, length: step };
      table.push(entry.term, entry.hash, entry.position, entry.length);
      list.push({ index: index + 1, ...entry });
    } else if (draw < 0.99) {
      const from = random.integer(Math.max(index - 20, table.firstIndex), index + 1);
      if (from < table.firstIndex) continue;
      table.truncateFrom(from);
      list = list.filter((entry) => entry.index < from);
    } else {
      const before = Math.min(table.firstIndex + random.integer(0, 120), table.lastIndex + 1);
      table.removeBefore(before);
      list = list.filter((entry) => entry.index >= before - 1);
    }
    const base = list[0] as { index: number };
    assert.equal(table.firstIndex, base.index + 1);
    assert.equal(table.lastIndex, list.at(-1)?.index);
    const probe = random.pick(list);
    assert.equal(table.termAt(probe.index), probe.term);
    assert.equal(table.hashAt(probe.index), probe.hash);
    if (probe !== base) {
      assert.equal(table.positionAt(probe.index), probe.position);
      assert.equal(table.lengthAt(probe.index), probe.length);
    }
  }
  assert.equal(table.termAt(table.firstIndex - 2), undefined);
  assert.equal(table.hashAt(table.lastIndex + 1), undefined);
  assert.throws(() => table.positionAt(table.lastIndex + 1), /is not in the log/);
});
