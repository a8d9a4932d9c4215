import { RecentMap } from "../base/recent_map.ts";
import type { CompiledStatement } from "./compiled_statement.ts";

/** Compiled statements by their text; those that were not used for a while are closed. */
export class StatementCache {
  readonly #statements: RecentMap<string, CompiledStatement>;

  constructor(countMax: number) {
    this.#statements = new RecentMap(countMax);
  }

  /** The statement is the caller's until it is `put` back: while it runs nobody else can get or close it. */
  take(sql: string): CompiledStatement | undefined {
    const statement = this.#statements.get(sql);
    if (statement === undefined || statement.isTaken) return undefined;
    statement.isTaken = true;
    return statement;
  }

  /** The statement must be reset. */
  put(sql: string, statement: CompiledStatement): void {
    statement.isTaken = false;
    if (this.#statements.get(sql) === statement) return;
    const gone = this.#statements.set(sql, statement);
    // One that is taken comes back, and finds its place or makes another one.
    if (gone?.isTaken === false) gone.engine.finalize();
  }

  clear(): void {
    for (const { engine, isTaken } of this.#statements.values()) if (!isTaken) engine.finalize();
    this.#statements.clear();
  }
}
