import type { Authorizer, AuthorizerVerdict } from "./engine.ts";
import { refusePragma } from "./pragma_policy.ts";

/** Authorizer actions (https://sqlite.org/c3ref/c_alter_table.html). */
const Action = {
  createIndex: 1,
  createTable: 2,
  createTempIndex: 3,
  createTempTable: 4,
  createTempTrigger: 5,
  createTempView: 6,
  createTrigger: 7,
  createView: 8,
  delete: 9,
  dropIndex: 10,
  dropTable: 11,
  dropTrigger: 16,
  dropView: 17,
  insert: 18,
  pragma: 19,
  read: 20,
  transaction: 22,
  update: 23,
  attach: 24,
  detach: 25,
  alterTable: 26,
  createVirtualTable: 29,
  dropVirtualTable: 30,
  function: 31,
  savepoint: 32,
} as const;

const TEMPORARY_OBJECTS: ReadonlySet<number> = new Set([
  Action.createTempIndex,
  Action.createTempTable,
  Action.createTempTrigger,
  Action.createTempView,
]);

/** Compiled statements may be out of date after one of these. */
const SCHEMA_CHANGES: ReadonlySet<number> = new Set([
  Action.createIndex,
  Action.createTable,
  Action.createTrigger,
  Action.createView,
  Action.dropIndex,
  Action.dropTable,
  Action.dropTrigger,
  Action.dropView,
  Action.alterTable,
  Action.createVirtualTable,
  Action.dropVirtualTable,
]);

/** Actions whose first argument is a new or changed object, or a table that is read or written. */
const NAMES_FIRST: ReadonlySet<number> = new Set([
  ...SCHEMA_CHANGES,
  Action.delete,
  Action.insert,
  Action.read,
  Action.update,
]);

/** Actions whose second argument is a table. */
const NAMES_SECOND: ReadonlySet<number> = new Set([
  Action.createIndex,
  Action.createTrigger,
  Action.dropIndex,
  Action.dropTrigger,
  Action.alterTable,
]);

/** Names that walraft keeps to itself, shadow tables of a virtual table `walraft` included. */
const RESERVED_NAME = /^walraft(_|$)/i;

/** What the authorizer saw while one statement was compiled. */
export interface StatementFacts {
  /** Something was accessed at all. VACUUM alone changes the database and accesses nothing. */
  readonly hasAccess: boolean;
  readonly changesSchema: boolean;
  /** ALTER TABLE does not tell the authorizer the new name. */
  readonly altersTable: boolean;
  /** A trigger or view runs inside, so RAISE(FAIL) is possible. */
  readonly hasInner: boolean;
  /** Some PRAGMAs act while they are compiled, so a compiled one must not be kept. */
  readonly isPragma: boolean;
  /** What it does to a savepoint: allowed inside a transaction only, so a compiled one must not be kept. */
  readonly savepoint: "BEGIN" | "RELEASE" | "ROLLBACK" | undefined;
}

type Mode = "user" | "transaction" | "internal" | "vacuum";

/**
 * What a statement may do. It asks SQLite's own compiler (the authorizer), so comments, quoting and names of every kind
 * cannot deceive it. It also judges what SQLite compiles at run time on behalf of a statement, such as the
 * accesses of a virtual table to other tables.
 */
export class StatementPolicy {
  #mode: Mode = "user";
  #refusal: string | undefined;
  #hasAccess = false;
  #changesSchema = false;
  #altersTable = false;
  #hasInner = false;
  #isPragma = false;
  #savepoint: StatementFacts["savepoint"];

  readonly authorize: Authorizer = (action, first, second, database, inner): AuthorizerVerdict => {
    this.#hasAccess = true;
    if (this.#mode === "internal") return "allow";
    this.#changesSchema ||= SCHEMA_CHANGES.has(action);
    this.#altersTable ||= action === Action.alterTable;
    this.#hasInner ||= inner !== "";
    this.#isPragma ||= action === Action.pragma;
    if (action === Action.savepoint) this.#savepoint = first as StatementFacts["savepoint"];
    const refusal = this.#refuse(action, first, second, database);
    if (refusal === undefined) return "allow";
    this.#refusal ??= refusal;
    return "deny";
  };

  #refuse(action: number, first: string, second: string, database: string): string | undefined {
    if (this.#mode === "vacuum") return refuseInVacuum(action, first);
    if (this.#mode === "transaction") {
      if (action === Action.savepoint) return isReservedName(second) ? reserved(second) : undefined;
      if (action === Action.transaction) {
        return `the transaction is ended by the calls for it, not by ${first}`;
      }
    }
    return refuse(action, first, second, database);
  }

  /** Forgets what was seen before; call it before each statement is compiled. */
  begin(): void {
    this.#refusal = undefined;
    this.#hasAccess = false;
    this.#changesSchema = false;
    this.#altersTable = false;
    this.#hasInner = false;
    this.#isPragma = false;
    this.#savepoint = undefined;
  }

  facts(): StatementFacts {
    return {
      hasAccess: this.#hasAccess,
      changesSchema: this.#changesSchema,
      altersTable: this.#altersTable,
      hasInner: this.#hasInner,
      isPragma: this.#isPragma,
      savepoint: this.#savepoint,
    };
  }

  /** Why something was denied since `begin`. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Runs walraft's own statements. */
  internally<T>(work: () => T): T {
    return this.#in("internal", work);
  }

  /** Runs a statement inside a transaction over several requests: savepoints are allowed there. */
  inTransaction<T>(work: () => T): T {
    return this.#in("transaction", work);
  }

  /** Runs VACUUM, which attaches a temporary database and copies every table into it. */
  inVacuum<T>(work: () => T): T {
    return this.#in("vacuum", work);
  }

  #in<T>(mode: Mode, work: () => T): T {
    const before = this.#mode;
    this.#mode = mode;
    try {
      return work();
    } finally {
      this.#mode = before;
    }
  }
}

export function isReservedName(name: string): boolean {
  return RESERVED_NAME.test(name);
}

function refuse(action: number, first: string, second: string, database: string): string | undefined {
  if (NAMES_FIRST.has(action) && action !== Action.alterTable && isReservedName(first)) {
    return reserved(first);
  }
  if (NAMES_SECOND.has(action) && isReservedName(second)) return reserved(second);
  if (TEMPORARY_OBJECTS.has(action) || (SCHEMA_CHANGES.has(action) && database === "temp")) {
    return "temporary tables, views and triggers belong to one connection and would vanish between two requests; " +
      "use an ordinary table or a WITH clause";
  }
  switch (action) {
    case Action.attach:
    case Action.detach:
      return "a statement works on one database; ATTACH and DETACH are not available";
    case Action.transaction:
    case Action.savepoint:
      return "each request is a transaction of its own; send several statements as one batch instead of " +
        `${action === Action.savepoint ? "SAVEPOINT" : first}`;
    case Action.pragma:
      return refusePragma(first, second);
    case Action.function:
      if (second.toLowerCase() === "load_extension") return "extensions cannot be loaded";
      return undefined;
    default:
      return undefined;
  }
}

/** VACUUM INTO attaches the file it would write; VACUUM attaches a nameless temporary database. */
function refuseInVacuum(action: number, first: string): string | undefined {
  if (action !== Action.attach || first === "") return undefined;
  return "VACUUM INTO would write a file of this node; download a backup instead";
}

function reserved(name: string): string {
  return `the name ${name} belongs to walraft`;
}
