import type { EngineHost } from "../engine.ts";
import type { SqliteWasmMemory } from "./sqlite_wasm_memory.ts";

/** ENOSYS: positive for WASI, negative for system calls. */
const NOT_IMPLEMENTED = 52;
const MS_PER_DAY = 86_400_000;
/** 400 years of the Gregorian calendar. */
const DAYS_PER_ERA = 146_097;
/** Days from 1 March of year 0 to 1 January 1970. */
const DAYS_TO_1970 = 719_468;
/** Offsets of `struct tm` in 32-bit words. */
const Tm = { second: 0, minute: 1, hour: 2, day: 3, month: 4, year: 5, weekday: 6 } as const;
const TM_WORDS = 10;

type SystemCall = (...values: number[]) => number | void;

/**
 * What the module of sqlite.org wants from its surroundings, in place of the package's own 500 KB of JavaScript. Our VFS
 * serves the files, so of some 35 functions only memory and time are ever called; the rest, SQLite's own VFS for Unix,
 * answers "not implemented".
 *
 * Local time is UTC: all nodes of a cluster answer alike.
 */
export function sqliteWasmImports(
  wasm: WebAssembly.Module,
  memory: SqliteWasmMemory,
  clock: EngineHost["clock"],
): WebAssembly.Imports {
  const known: Record<string, SystemCall> = {
    emscripten_resize_heap: (bytes) => memory.growTo(bytes! >>> 0) ? 1 : 0,
    emscripten_get_heap_max: () => memory.bytesMax,
    emscripten_date_now: () => clock.wallMs(),
    emscripten_get_now: () => clock.wallMs(),
    environ_sizes_get: (count, bytes) => {
      memory.words[count! >> 2] = 0;
      memory.words[bytes! >> 2] = 0;
      return 0;
    },
    environ_get: () => 0,
    _tzset_js: (offset, hasSummerTime, name, summerName) => {
      memory.words[offset! >> 2] = 0;
      memory.words[hasSummerTime! >> 2] = 0;
      memory.bytes.set(UTC_NAME, name);
      memory.bytes.set(UTC_NAME, summerName);
    },
    _localtime_js: (seconds, out) => writeUtc(Number(seconds) * 1000, memory.words, out! >> 2),
  };
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module, name, kind } of WebAssembly.Module.imports(wasm)) {
    const namespace = imports[module] ??= {};
    const refusal = module === "env" ? -NOT_IMPLEMENTED : NOT_IMPLEMENTED;
    namespace[name] = kind === "memory" ? memory.memory : known[name] ?? (() => refusal);
  }
  return imports;
}

const UTC_NAME = new TextEncoder().encode("UTC\0");

/** Calendar arithmetic with years that begin in March, so that the leap day comes last. */
function writeUtc(ms: number, words: Int32Array, tm: number): void {
  const days = Math.floor(ms / MS_PER_DAY);
  const seconds = Math.floor((ms - days * MS_PER_DAY) / 1000);
  const sinceMarch = days + DAYS_TO_1970;
  const era = Math.floor(sinceMarch / DAYS_PER_ERA);
  const dayOfEra = sinceMarch - era * DAYS_PER_ERA;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = (monthFromMarch + 2) % 12;
  words.fill(0, tm, tm + TM_WORDS);
  words[tm + Tm.second] = seconds % 60;
  words[tm + Tm.minute] = Math.floor(seconds / 60) % 60;
  words[tm + Tm.hour] = Math.floor(seconds / 3600);
  words[tm + Tm.day] = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  words[tm + Tm.month] = month;
  words[tm + Tm.year] = yearOfEra + era * 400 + (month < 2 ? 1 : 0) - 1900;
  words[tm + Tm.weekday] = (((days + 4) % 7) + 7) % 7;
}
