import type { Clock } from "../base/ports.ts";
import type { EngineStatement } from "./engine.ts";
import type { Operation } from "./short_program.ts";
import type { SqlSession } from "./sql_session.ts";

/** How a statement would run. */
export interface Judgement {
  /** It compiles quickly, and none of its operations can take long: see short_program.ts. */
  readonly isShort: boolean;
  /** Holds as long as this is the schema. */
  readonly schemaCookie: number;
}

/** To compile a statement is a part of its first run. */
const SHORT_COMPILE_MS_MAX = 2;
/** Columns of EXPLAIN. */
const OPCODE_COLUMN = 1;
const P4_COLUMN = 5;
const TEXT = new TextDecoder();

/**
 * Compiles a statement anew and looks at its program. Call it inside `guard`.
 *
 * @throws NodeError, SqliteError
 */
export function isShortStatement(
  session: SqlSession,
  clock: Clock,
  sql: string,
  isShort: (operations: Iterable<Operation>) => boolean,
): boolean {
  const beganMs = clock.nowMs();
  return session.use(`EXPLAIN ${sql}`, (compiled) => {
    const isQuick = clock.nowMs() - beganMs <= SHORT_COMPILE_MS_MAX;
    return isQuick && isShort(operationsOf(compiled.engine));
  });
}

function* operationsOf(explained: EngineStatement): Generator<Operation> {
  while (explained.step()) {
    yield {
      opcode: TEXT.decode(explained.columnText(OPCODE_COLUMN)),
      p4: TEXT.decode(explained.columnText(P4_COLUMN)),
    };
  }
}
