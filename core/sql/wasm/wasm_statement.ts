import { type EngineStatement, ResultCode, SqliteError } from "../engine.ts";
import type { BindingArena } from "./binding_arena.ts";
import { toInteger, type WasmConnection } from "./wasm_connection.ts";
import type { SqliteModule } from "./sqlite_module.ts";

const STATUS_RECOMPILATIONS = 5;
/** SQLITE_STATIC: the memory outlives the binding. */
const STATIC = 0;
/** Up to this length a loop over the characters beats `encodeInto`. */
const SHORT_TEXT_LENGTH = 48;
const UTF8_BYTES_PER_UNIT_MAX = 3;
const TWO_POWER_32 = 0x1_0000_0000;
const EMPTY = new Uint8Array(0);
const TEXT = new TextEncoder();

export class WasmStatement implements EngineStatement {
  readonly isReadOnly: boolean;
  readonly isExplain: boolean;
  readonly parameterCount: number;
  readonly #module: SqliteModule;
  readonly #connection: WasmConnection;
  readonly #arena: BindingArena;
  readonly #pointer: number;
  #holdsArena = false;

  constructor(module: SqliteModule, connection: WasmConnection, arena: BindingArena, pointer: number) {
    this.#module = module;
    this.#connection = connection;
    this.#arena = arena;
    this.#pointer = pointer;
    this.isReadOnly = module._sqlite3_stmt_readonly(pointer) !== 0;
    this.isExplain = module._sqlite3_stmt_isexplain(pointer) !== 0;
    this.parameterCount = module._sqlite3_bind_parameter_count(pointer);
  }

  parameterName(index: number): string {
    const name = this.#module._sqlite3_bind_parameter_name(this.#pointer, index + 1);
    return name === 0 ? "" : this.#module.UTF8ToString(name);
  }

  bindNull(index: number): void {
    this.#check(this.#module._sqlite3_bind_null(this.#pointer, index + 1));
  }

  bindInteger(index: number, value: number | bigint): void {
    const low = typeof value === "bigint" ? Number(value & 0xffff_ffffn) : value % TWO_POWER_32 | 0;
    const high = typeof value === "bigint" ? Number(value >> 32n) : Math.floor(value / TWO_POWER_32);
    this.#check(this.#module._sqlite3_bind_int64(this.#pointer, index + 1, low, high));
  }

  bindReal(index: number, value: number): void {
    this.#check(this.#module._sqlite3_bind_double(this.#pointer, index + 1, value));
  }

  bindText(index: number, value: string): void {
    const module = this.#module;
    const room = value.length * UTF8_BYTES_PER_UNIT_MAX + 1;
    const pointer = this.#arena.take(room);
    if (pointer === 0) {
      this.#bindOwned(index, TEXT.encode(value), true);
      return;
    }
    this.#holdArena();
    const bytes = writeText(module.HEAPU8, pointer, value, room);
    this.#arena.giveBack(room - bytes - 1);
    this.#check(module._sqlite3_bind_text(this.#pointer, index + 1, pointer, bytes, STATIC));
  }

  bindBlob(index: number, value: Uint8Array): void {
    const module = this.#module;
    if (value.length === 0) {
      // An empty blob with an address of 0 would be NULL.
      this.#check(module._sqlite3_bind_zeroblob(this.#pointer, index + 1, 0));
      return;
    }
    const pointer = this.#arena.take(value.length);
    if (pointer === 0) {
      this.#bindOwned(index, value, false);
      return;
    }
    this.#holdArena();
    module.HEAPU8.set(value, pointer);
    this.#check(module._sqlite3_bind_blob(this.#pointer, index + 1, pointer, value.length, STATIC));
  }

  /** In memory that SQLite frees when the binding goes. */
  #bindOwned(index: number, bytes: Uint8Array, isText: boolean): void {
    const module = this.#module;
    const pointer = module._sqlite3_malloc(bytes.length + 1);
    if (pointer === 0) throw new SqliteError(ResultCode.noMemory, "out of memory", undefined);
    module.HEAPU8.set(bytes, pointer);
    const free = module._getSqliteFree();
    const code = isText
      ? module._sqlite3_bind_text(this.#pointer, index + 1, pointer, bytes.length, free)
      : module._sqlite3_bind_blob(this.#pointer, index + 1, pointer, bytes.length, free);
    this.#check(code);
  }

  #holdArena(): void {
    if (this.#holdsArena) return;
    this.#holdsArena = true;
    this.#arena.hold();
  }

  clearBindings(): void {
    if (this.parameterCount === 0) return;
    this.#module._sqlite3_clear_bindings(this.#pointer);
    if (!this.#holdsArena) return;
    this.#holdsArena = false;
    this.#arena.release();
  }

  step(): boolean {
    const code = this.#module._sqlite3_step(this.#pointer);
    if (code === ResultCode.row) return true;
    if (code === ResultCode.done) return false;
    throw this.#connection.error(code);
  }

  reset(): void {
    this.#module._sqlite3_reset(this.#pointer);
  }

  recompilations(): number {
    return this.#module._sqlite3_stmt_status(this.#pointer, STATUS_RECOMPILATIONS, 0);
  }

  columnCount(): number {
    return this.#module._sqlite3_column_count(this.#pointer);
  }

  columnName(column: number): string {
    return this.#module.UTF8ToString(this.#module._sqlite3_column_name(this.#pointer, column));
  }

  declaredType(column: number): string | undefined {
    const type = this.#module._sqlite3_column_decltype?.(this.#pointer, column) ?? 0;
    return type === 0 ? undefined : this.#module.UTF8ToString(type);
  }

  columnType(column: number): number {
    return this.#module._sqlite3_column_type(this.#pointer, column);
  }

  columnInteger(column: number): number | bigint {
    // One call instead of two: a 64-bit integer beyond 2^53 never becomes a double within the safe range.
    const approximate = this.#module._sqlite3_column_double(this.#pointer, column);
    if (Number.isSafeInteger(approximate)) return approximate;
    const low = this.#module._sqlite3_column_int64(this.#pointer, column);
    return toInteger(low, this.#module.getTempRet0());
  }

  columnReal(column: number): number {
    return this.#module._sqlite3_column_double(this.#pointer, column);
  }

  columnText(column: number): Uint8Array {
    return this.#bytes(this.#module._sqlite3_column_text(this.#pointer, column), column);
  }

  columnBlob(column: number): Uint8Array {
    return this.#bytes(this.#module._sqlite3_column_blob(this.#pointer, column), column);
  }

  #bytes(pointer: number, column: number): Uint8Array {
    const length = this.#module._sqlite3_column_bytes(this.#pointer, column);
    if (length === 0) return EMPTY;
    if (pointer === 0) throw new SqliteError(ResultCode.noMemory, "out of memory", undefined);
    return this.#module.HEAPU8.subarray(pointer, pointer + length);
  }

  finalize(): void {
    this.clearBindings();
    this.#module._sqlite3_finalize(this.#pointer);
  }

  #check(code: number): void {
    if (code !== ResultCode.ok) throw this.#connection.error(code);
  }
}

/** Writes UTF-8 and returns its length; `room` bytes are there. */
function writeText(heap: Uint8Array, pointer: number, value: string, room: number): number {
  const length = value.length;
  if (length <= SHORT_TEXT_LENGTH) {
    let position = 0;
    while (position < length) {
      const unit = value.charCodeAt(position);
      if (unit > 0x7f) break;
      heap[pointer + position] = unit;
      position += 1;
    }
    if (position === length) return length;
  }
  return TEXT.encodeInto(value, heap.subarray(pointer, pointer + room)).written;
}
