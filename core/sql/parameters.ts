import { NodeError } from "../base/errors.ts";
import type { EngineStatement } from "./engine.ts";
import type { SqlParameter, SqlParameters } from "./values.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/**
 * Binds all parameters: every one the statement has must be given, and none that it does not have. NULL must be
 * said, a missing value is more often a mistake.
 *
 * @throws NodeError parameter_mismatch
 */
export function bindParameters(statement: EngineStatement, parameters: SqlParameters): void {
  if (isPositional(parameters)) bindByPosition(statement, parameters);
  else bindByName(statement, parameters);
}

function isPositional(parameters: SqlParameters): parameters is readonly SqlParameter[] {
  return Array.isArray(parameters);
}

function bindByPosition(statement: EngineStatement, parameters: readonly SqlParameter[]): void {
  const count = statement.parameterCount;
  if (parameters.length !== count) {
    throw mismatch(`it has ${count} parameters, ${parameters.length} values were given`);
  }
  for (let index = 0; index < count; index += 1) {
    bindValue(statement, index, parameters[index]!, () => `${index + 1}`);
  }
}

function bindByName(statement: EngineStatement, parameters: { readonly [name: string]: SqlParameter }): void {
  const given = new Map(Object.entries(parameters));
  const used = new Set<string>();
  for (let index = 0; index < statement.parameterCount; index += 1) {
    const name = statement.parameterName(index);
    if (name === "" || name.startsWith("?")) {
      // `?5` alone leaves numbers 1 to 4 without a name: nothing reads them.
      throw mismatch(`parameter ${index + 1} has no name, but the values were given by name`);
    }
    const key = given.has(name) ? name : name.slice(1);
    const value = given.get(key);
    if (value === undefined) throw mismatch(`no value was given for ${name}`);
    used.add(key);
    bindValue(statement, index, value, () => name);
  }
  if (used.size === given.size) return;
  const unknown = [...given.keys()].find((key) => !used.has(key));
  throw mismatch(`it has no parameter ${unknown}`);
}

function bindValue(statement: EngineStatement, index: number, value: SqlParameter, name: () => string): void {
  if (typeof value === "number") bindNumber(statement, index, value, name);
  else if (typeof value === "string") statement.bindText(index, value);
  else if (value === null) statement.bindNull(index);
  else if (typeof value === "boolean") statement.bindInteger(index, value ? 1 : 0);
  else if (typeof value === "bigint") {
    if (value < INT64_MIN || value > INT64_MAX) {
      throw mismatch(`${value} for parameter ${name()} does not fit into 64 bits`);
    }
    statement.bindInteger(index, value);
  } else if (value instanceof Uint8Array) statement.bindBlob(index, value);
  else if (typeof value === "object" && typeof value.real === "number") {
    bindReal(statement, index, value.real, name);
  } else throw mismatch(`the value for parameter ${name()} is of no type SQLite knows`);
}

function bindNumber(statement: EngineStatement, index: number, value: number, name: () => string): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) statement.bindInteger(index, value);
  else bindReal(statement, index, value, name);
}

/** SQLite would store NaN as NULL without a word. */
function bindReal(statement: EngineStatement, index: number, value: number, name: () => string): void {
  if (Number.isNaN(value)) throw mismatch(`parameter ${name()} is NaN, which SQLite cannot store`);
  statement.bindReal(index, value);
}

function mismatch(reason: string): NodeError {
  return new NodeError("parameter_mismatch", `Cannot bind the parameters of the statement: ${reason}`);
}
