import { NodeError } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { FailureError } from "./failure.ts";
import { FAILURE } from "./failure_codes.ts";
import type { SqlStatement } from "./sql_text.ts";

/** Prepared statements of one connection: texts, which the node compiles and keeps where they run. */
export class StatementTable {
  readonly #statements: (SqlStatement | undefined)[] = [];
  #characters = 0;

  /** @returns the lowest id that is free */
  add(statement: SqlStatement): number {
    const free = this.#statements.indexOf(undefined);
    const id = free < 0 ? this.#statements.length : free;
    const characters = this.#characters + statement.text.length;
    const { dqliteStatementsMax, dqliteStatementCharactersMax } = LIMITS;
    if (id >= dqliteStatementsMax || characters > dqliteStatementCharactersMax) {
      const limit = { name: "dqliteStatementsMax", value: dqliteStatementsMax };
      const text = `Cannot prepare the statement: the connection holds ${id} already; finalize some`;
      throw new NodeError("queue_full", text, { limit });
    }
    this.#characters = characters;
    this.#statements[id] = statement;
    return id;
  }

  get(id: number): SqlStatement {
    const statement = this.#statements[id];
    if (statement === undefined) throw new FailureError(FAILURE.statementNotFound);
    return statement;
  }

  remove(id: number): void {
    this.#characters -= this.get(id).text.length;
    this.#statements[id] = undefined;
  }
}
