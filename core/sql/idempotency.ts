import { NodeError } from "../base/errors.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import type { SqlSession } from "./sql_session.ts";

/**
 * Answers of keyed writes, stored in the database they belong to, in the same transaction as the write: they reach
 * every node with it, and a retry after a change of leaders finds them (promise 5).
 *
 * `answer` is the fields of the answer as one msgpack map, rows as arrays.
 */
const TABLE =
  `CREATE TABLE walraft_idempotency(key TEXT PRIMARY KEY, request_hash BLOB NOT NULL, answer BLOB NOT NULL, created_at_ms INTEGER NOT NULL) WITHOUT ROWID`;
/** Keys come in any order; removing old ones must not read them all. */
const INDEX = `CREATE INDEX walraft_idempotency_created ON walraft_idempotency(created_at_ms)`;

const FIND_TABLE = `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'walraft_idempotency'`;
const FIND = `SELECT request_hash, answer FROM walraft_idempotency WHERE key = ?`;
const ADD = `INSERT INTO walraft_idempotency(key, request_hash, answer, created_at_ms) VALUES (?, ?, ?, ?)`;
const REMOVE_OLD = `DELETE FROM walraft_idempotency WHERE key IN
  (SELECT key FROM walraft_idempotency WHERE created_at_ms < ? ORDER BY created_at_ms LIMIT ${LIMITS.idempotencyKeysPerRemoval})`;
/** Objects of users that took a reserved name, which only ALTER TABLE … RENAME can do. */
const FIND_INTRUDER = `SELECT name FROM sqlite_schema
  WHERE (name LIKE 'walraft!_%' ESCAPE '!' OR name = 'walraft' COLLATE NOCASE) AND sql NOT IN (?, ?)`;

export class IdempotencyStore {
  readonly #session: SqlSession;
  readonly #clock: Clock;
  #hasTable = false;
  #writes = 0;

  constructor(session: SqlSession, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
  }

  /**
   * The stored answer of the key, or undefined when it is new.
   *
   * @throws NodeError idempotency_mismatch
   */
  find(key: string, requestHash: Uint8Array): Uint8Array | undefined {
    const { length } = key;
    if (length === 0 || length > LIMITS.idempotencyKeyLengthMax) {
      throw new NodeError(
        "bad_request",
        `Cannot use an idempotency key of ${length} characters: 1 to ${LIMITS.idempotencyKeyLengthMax} are allowed`,
        { field: "idempotency_key" },
      );
    }
    if (!this.#findTable()) return undefined;
    const stored = this.#session.internal(FIND, [key], (row) => ({
      hash: row.columnBlob(0).slice(),
      answer: row.columnBlob(1).slice(),
    }));
    if (stored === undefined) return undefined;
    if (equals(stored.hash, requestHash)) return stored.answer;
    throw new NodeError(
      "idempotency_mismatch",
      `Cannot use the idempotency key ${key} again: it belongs to a different request`,
    );
  }

  /** Inside the transaction of the write. */
  add(key: string, requestHash: Uint8Array, answer: Uint8Array): void {
    if (!this.#findTable()) {
      this.#session.internal(TABLE);
      this.#session.internal(INDEX);
    }
    const nowMs = Math.floor(this.#clock.wallMs());
    if (this.#writes % LIMITS.idempotencyWritesPerRemoval === 0) {
      this.#session.internal(REMOVE_OLD, [nowMs - LIMITS.idempotencyKeyMsMin]);
    }
    this.#writes += 1;
    this.#session.internal(ADD, [key, requestHash, answer, nowMs]);
  }

  /** Name of an object that must not be, after a statement that renamed something. */
  findIntruder(): string | undefined {
    return this.#session.internal(
      FIND_INTRUDER,
      [TABLE, INDEX],
      (row) => new TextDecoder().decode(row.columnText(0)),
    );
  }

  /** Once there it stays: no statement of a user can drop it. A rollback may still take back its creation. */
  #findTable(): boolean {
    this.#hasTable ||= this.#session.internal(FIND_TABLE, [], () => true) === true;
    return this.#hasTable;
  }

  /** The transaction in which the table was first seen was rolled back. */
  forget(): void {
    this.#hasTable = false;
  }
}

function equals(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
