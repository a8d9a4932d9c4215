import type { EngineStatement } from "./engine.ts";
import { encodeColumns, type EncodedColumns } from "./result_encoder.ts";
import type { ResultColumn } from "./row_sink.ts";
import type { StatementFacts } from "./statement_policy.ts";
import type { ResultFormat, RowShape } from "./values.ts";

const ROW_SHAPES: readonly RowShape[] = ["arrays", "objects", "typed_arrays"];

/** A statement of a user, compiled and judged. */
export class CompiledStatement {
  readonly engine: EngineStatement;
  readonly facts: StatementFacts;
  /** May stay in the cache. */
  readonly isKept: boolean;
  /** `OR FAIL` and `RAISE(FAIL)` keep what the statement changed before it failed. */
  readonly mayFailHalfway: boolean;
  readonly returnsRows: boolean;
  /** It runs: the cache leaves it alone. */
  isTaken = true;
  #encoded: (EncodedColumns | undefined)[] = [];
  #columns: readonly ResultColumn[] | undefined;
  #recompilations = 0;

  constructor(engine: EngineStatement, sql: string, facts: StatementFacts, isKept: boolean) {
    this.engine = engine;
    this.facts = facts;
    // What EXPLAIN lists is never brought up to date with the schema.
    this.isKept = isKept && !facts.isPragma && facts.savepoint === undefined && !engine.isExplain;
    this.mayFailHalfway = facts.hasInner || /fail/i.test(sql);
    this.returnsRows = engine.columnCount() > 0;
  }

  get isReadOnly(): boolean {
    return this.engine.isReadOnly || this.engine.isExplain;
  }

  /** The only statement that changes the database and asks the authorizer nothing. */
  get isVacuum(): boolean {
    return !this.isReadOnly && !this.facts.hasAccess;
  }

  /** Call it after the first step, which may have recompiled the statement. */
  columns(): readonly ResultColumn[] {
    this.#forgetOutdated();
    return this.#columns ??= Array.from({ length: this.engine.columnCount() }, (_, column) => ({
      name: this.engine.columnName(column),
      declaredType: this.engine.declaredType(column),
    }));
  }

  /** The same for an encoded answer. */
  encodedColumns(format: ResultFormat, shape: RowShape): EncodedColumns {
    this.#forgetOutdated();
    const slot = (format === "json" ? 0 : ROW_SHAPES.length) + ROW_SHAPES.indexOf(shape);
    return this.#encoded[slot] ??= encodeColumns(this.columns(), format, shape);
  }

  #forgetOutdated(): void {
    const recompilations = this.engine.recompilations();
    if (recompilations === this.#recompilations) return;
    this.#recompilations = recompilations;
    this.#encoded = [];
    this.#columns = undefined;
  }
}
