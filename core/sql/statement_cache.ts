import type { CompiledStatement } from "./compiled_statement.ts";

/** Compiled statements by their text, the least recently used one closed first. */
export class StatementCache {
  readonly #countMax: number;
  readonly #statements = new Map<string, CompiledStatement>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Takes the statement out: while it runs nobody else can get or close it. */
  take(sql: string): CompiledStatement | undefined {
    const statement = this.#statements.get(sql);
    if (statement !== undefined) this.#statements.delete(sql);
    return statement;
  }

  /** The statement must be reset. */
  put(sql: string, statement: CompiledStatement): void {
    this.#statements.get(sql)?.engine.finalize();
    this.#statements.delete(sql);
    this.#statements.set(sql, statement);
    if (this.#statements.size <= this.#countMax) return;
    const [oldestSql, oldest] = this.#statements.entries().next().value!;
    this.#statements.delete(oldestSql);
    oldest.engine.finalize();
  }

  clear(): void {
    for (const statement of this.#statements.values()) statement.engine.finalize();
    this.#statements.clear();
  }
}
