import { assert } from "../../base/assert.ts";
import {
  type Authorizer,
  type AuthorizerVerdict,
  type EngineConnection,
  type PreparedText,
  ResultCode,
  SqliteError,
} from "../engine.ts";
import { BindingArena } from "./binding_arena.ts";
import type { VfsBridge } from "./vfs_bridge.ts";
import type { SqliteInstance, SqliteModule } from "./sqlite_module.ts";
import { WasmStatement } from "./wasm_statement.ts";

const PREPARE_PERSISTENT = 1;
const VERDICTS: Readonly<Record<AuthorizerVerdict, number>> = { allow: 0, deny: 1, ignore: 2 };
const TWO_POWER_32 = 0x1_0000_0000;
const TEXT = new TextEncoder();
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

export class WasmConnection implements EngineConnection {
  readonly #instance: SqliteInstance;
  readonly #module: SqliteModule;
  readonly #bridge: VfsBridge;
  readonly #db: number;
  readonly #arena: BindingArena;
  /** Two words for results by pointer. */
  readonly #scratch: number;
  #authorizerFailure: unknown = undefined;

  constructor(instance: SqliteInstance, bridge: VfsBridge, db: number) {
    const { module } = instance;
    this.#instance = instance;
    this.#module = module;
    this.#bridge = bridge;
    this.#db = db;
    this.#arena = new BindingArena(module);
    this.#scratch = module._sqlite3_malloc(8);
    module._sqlite3_extended_result_codes(db, 1);
  }

  get failure(): unknown {
    return this.#bridge.failure ?? this.#authorizerFailure;
  }

  prepare(sql: string, persistent: boolean): PreparedText {
    const module = this.#module;
    const text = TEXT.encode(sql);
    const pointer = module._sqlite3_malloc(text.length + 1);
    if (pointer === 0) throw new SqliteError(ResultCode.noMemory, "out of memory", undefined);
    module.HEAPU8.set(text, pointer);
    module.HEAPU8[pointer + text.length] = 0;
    const flags = persistent ? PREPARE_PERSISTENT : 0;
    const out = this.#scratch;
    const code = module._sqlite3_prepare_v3(this.#db, pointer, text.length + 1, flags, out, out + 4);
    if (code !== ResultCode.ok) {
      const error = this.error(code);
      module._sqlite3_free(pointer);
      throw error;
    }
    const statement = module.HEAP32[out >> 2]!;
    const tail = module.HEAP32[(out + 4) >> 2]! - pointer;
    module._sqlite3_free(pointer);
    const rest = tail < text.length ? UTF8.decode(text.subarray(tail)) : "";
    return {
      statement: statement === 0 ? undefined : new WasmStatement(module, this, this.#arena, statement),
      rest,
    };
  }

  /** What SQLite says about the call that just failed. */
  error(code: number): SqliteError {
    const module = this.#module;
    const extended = module._sqlite3_extended_errcode(this.#db);
    const message = module.UTF8ToString(module._sqlite3_errmsg(this.#db));
    const offset = module._sqlite3_error_offset(this.#db);
    const resultCode = (extended & 0xff) === (code & 0xff) ? extended : code;
    return new SqliteError(resultCode, message, offset < 0 ? undefined : offset);
  }

  changes(): number | bigint {
    return toInteger(this.#module._sqlite3_changes64(this.#db), this.#module.getTempRet0());
  }

  totalChanges(): number | bigint {
    return toInteger(this.#module._sqlite3_total_changes64(this.#db), this.#module.getTempRet0());
  }

  lastInsertRowid(): number | bigint {
    return toInteger(this.#module._sqlite3_last_insert_rowid(this.#db), this.#module.getTempRet0());
  }

  clearLastInsertRowid(): void {
    this.#module._sqlite3_set_last_insert_rowid(this.#db, 0, 0);
  }

  isAutocommit(): boolean {
    return this.#module._sqlite3_get_autocommit(this.#db) !== 0;
  }

  setAuthorizer(authorizer: Authorizer): void {
    const text = (pointer: number): string => pointer === 0 ? "" : this.#module.UTF8ToString(pointer);
    const callback = (_: number, action: number, a: number, b: number, c: number, d: number): number => {
      try {
        return VERDICTS[authorizer(action, text(a), text(b), text(c), text(d))];
      } catch (error) {
        this.#authorizerFailure ??= error ?? new Error("Unknown failure in the authorizer");
        return VERDICTS.deny;
      }
    };
    const code = this.#instance.setAuthorizer(this.#db, callback);
    assert(code === 0, () => `Cannot set the authorizer: SQLite answers ${code}`);
  }

  setProgressHandler(operations: number, shouldStop: () => boolean): void {
    const handler = (): number => {
      try {
        return shouldStop() ? 1 : 0;
      } catch (error) {
        this.#authorizerFailure ??= error ?? new Error("Unknown failure in the progress handler");
        return 1;
      }
    };
    this.#instance.setProgressHandler(this.#db, operations, handler);
  }

  setLimit(category: number, value: number): number {
    return this.#module._sqlite3_limit(this.#db, category, value);
  }

  setOption(option: number, on: boolean): void {
    const code = this.#instance.setOption(this.#db, option, on);
    assert(code === 0, () => `Cannot set option ${option}: SQLite answers ${code}`);
  }

  checkpointTruncate(): void {
    const code = this.#instance.checkpointTruncate(this.#db);
    if (code !== ResultCode.ok) throw this.error(code);
  }

  close(): void {
    this.#module._sqlite3_close_v2(this.#db);
  }
}

/** A number where it is exact, from the two halves of a signed 64-bit integer. */
export function toInteger(low: number, high: number): number | bigint {
  const value = high * TWO_POWER_32 + (low >>> 0);
  return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low >>> 0);
}
