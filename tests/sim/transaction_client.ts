import { NodeError } from "../../core/base/errors.ts";
import type { Milliseconds } from "../../core/base/ids.ts";
import type { Transaction } from "../../core/node/service.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { type Clients, Lost } from "./clients.ts";
import type { History, Write } from "./history.ts";
import type { Machine } from "./sim_cluster.ts";

export interface TransactionSite {
  readonly clients: Clients;
  readonly history: History;
  readonly random: SeededRandom;
  readonly pause: (ms: Milliseconds) => Promise<void>;
}

/** How long a client waits for an answer. */
const TIMEOUT_MS: Milliseconds = 3_000;

/**
 * A transaction over several requests: a group of rows in several parts and an item of the list. It is committed, rolled back
 * or abandoned. Until then nobody sees it, and it sees nobody else.
 *
 * @throws NodeError, Lost; Error when it was shown what it must not see
 */
export async function runTransaction(
  site: TransactionSite,
  machine: Machine,
  database: string,
): Promise<void> {
  const { clients, history, random, pause } = site;
  const life = machine.life;
  const transaction = await clients.ask(
    machine,
    (node) => node.beginTransaction(database, { timeoutMs: TIMEOUT_MS }),
  );
  const ask = <T>(request: (transaction: Transaction) => Promise<T>): Promise<T> =>
    machine.life === life ? clients.ask(machine, () => request(transaction)) : Promise.reject(new Lost());
  const rowsOf = async (sql: string): Promise<unknown[][]> => {
    const options = { format: "json", rowShape: "arrays", timeoutMs: TIMEOUT_MS } as const;
    const { bytes } = await ask((open) => open.run({ sql, parameters: [] }, options));
    const fields = JSON.parse(`{${new TextDecoder().decode(bytes)}}`) as { rows?: unknown[][] };
    return fields.rows ?? [];
  };

  const parts = random.integer(1, 4);
  const size = parts * random.integer(1, 6);
  const number = history.nextValue();
  const item = history.nextValue();
  const writes: Write[] = [
    history.ask({ database, kind: "group", key: String(number), value: size }),
    history.ask({ database, kind: "append", key: "", value: item }),
  ];
  const settle = (fate: "ok" | "no" | "unknown", index?: number): void => {
    for (const write of writes) history.answer(write, fate, index);
  };
  // Nothing is there before the commit was asked for, whatever becomes of the transaction.
  settle("no");
  try {
    const before = await rowsOf("SELECT item FROM list ORDER BY id");
    await rowsOf(`INSERT INTO list (item) VALUES (${item})`);
    for (let part = 0; part < parts; part++) {
      const filler = random.integer(0, 6_000);
      await rowsOf(
        `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${size / parts}) ` +
          `INSERT INTO groups SELECT ${number}, n, randomblob(${filler}) FROM c`,
      );
      await pause(random.integer(0, 200));
    }
    const after = await rowsOf("SELECT item FROM list ORDER BY id");
    if (JSON.stringify(after) !== JSON.stringify([...before, [item]])) {
      throw new Error(`A transaction saw ${JSON.stringify(before)} and then ${JSON.stringify(after)}`);
    }
  } catch (error) {
    await ask((open) => open.rollback());
    throw error;
  }
  const end = random.next();
  // Nobody comes back to it: the node gives it up by itself.
  while (end < 0.05 && transaction.isOpen && machine.life === life && machine.isUp) await pause(500);
  if (!transaction.isOpen) return;
  if (end < 0.2) return await ask((open) => open.rollback());
  settle("unknown");
  try {
    const { index } = await ask((open) => open.commit(random.pick([100, 1_000, 3_000])));
    settle("ok", index);
  } catch (error) {
    if (error instanceof NodeError && !error.mayHaveCommitted && error.code !== "internal") settle("no");
    throw error;
  }
}
