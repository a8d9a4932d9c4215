/**
 * What an idle database costs in the memory of the main thread: heap after garbage collection, with and without them.
 *
 *   deno run -A --v8-flags=--expose-gc bench/idle_database_bench.ts [count]
 */
import { PageStore, type StoredCheckpoint } from "../core/pages/page_store.ts";

const COUNT = Number(Deno.args[0] ?? 10_000);

/** As after a start: everything is in the `.db` files. */
function makeStore(): PageStore {
  const databases = Array.from({ length: COUNT }, (_, i) => {
    const id = 10 + 3 * i;
    return { id, name: `tenant-${i}`, pageSize: 4_096, visibleFrom: id };
  });
  const checkpoints = databases.map(({ id, name, pageSize }): StoredCheckpoint => {
    const index = id + 1;
    return { databaseId: id, name, pageSize, pageCount: 2, index, hasSums: true, copiedThrough: index };
  });
  const store = new PageStore(checkpoints, { index: 4 * COUNT, databases });
  store.publish(4 * COUNT);
  return store;
}

function heapBytes(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("Cannot measure: run it with --v8-flags=--expose-gc");
  gc();
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

const before = heapBytes();
const store = makeStore();
const after = heapBytes();
console.log(
  `${Math.round((after - before) / COUNT)} bytes for each of ${store.databaseCount} idle databases`,
);
