import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { LIMITS } from "../../core/base/limits.ts";
import type { SqlStatement } from "./sql_text.ts";
import { StatementTable } from "./statement_table.ts";

const statement = (text: string): SqlStatement => ({
  text,
  kind: "read",
  parameterCount: 0,
  end: text.length,
});

Deno.test("StatementTable gives the lowest free id, and room back", () => {
  const table = new StatementTable();
  deepStrictEqual(["a", "b", "c"].map((text) => table.add(statement(text))), [0, 1, 2]);
  table.remove(1);
  throws(() => table.get(1), /no statement with the given id/);
  throws(() => table.remove(1), /no statement with the given id/);
  strictEqual(table.add(statement("d")), 1);
  strictEqual(table.get(1).text, "d");
});

Deno.test("StatementTable has a bound on statements and on their texts", () => {
  const many = new StatementTable();
  for (let id = 0; id < LIMITS.dqliteStatementsMax; id++) many.add(statement("s"));
  throws(() => many.add(statement("s")), /finalize some/);
  const large = new StatementTable();
  large.add(statement("x".repeat(LIMITS.dqliteStatementCharactersMax)));
  throws(() => large.add(statement("s")), /finalize some/);
  large.remove(0);
  strictEqual(large.add(statement("s")), 0);
});
