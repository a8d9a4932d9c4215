import type { EventSink } from "../base/ports.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "text" | "json";

const ORDER: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Events that tell an operator something. Those not listed are for people who look for a fault: `debug`. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  started: "info",
  stopping: "info",
  stopped: "info",
  join_waits: "info",
  became_leader: "info",
  stepped_down: "info",
  member_added: "info",
  member_removed: "info",
  member_promoted: "info",
  snapshot_installed: "info",
  log_rebuilt: "info",
  disk_has_room: "info",
  damage_repaired: "info",
  addresses_not_announced: "warn",
  damage_found: "warn",
  damage_not_repaired: "warn",
  disk_full: "warn",
  log_append_stalled: "warn",
  log_damaged: "warn",
  log_limit_reached: "warn",
  rebuild_waits: "warn",
  snapshot_attempt_failed: "warn",
  views_expired: "warn",
  promotion_failed: "warn",
  peer_refused: "warn",
  log_tail_cut: "warn",
  sql_worker_replaced: "warn",
  fork_detected: "error",
  fork_judged: "error",
  fatal: "error",
};

/** Writes events as lines on standard error: `2026-01-31T12:00:00.000Z became_leader term=3`. */
export class ConsoleEvents implements EventSink {
  readonly #least: number;
  readonly #format: LogFormat;

  constructor(level: LogLevel, format: LogFormat) {
    this.#least = ORDER.indexOf(level);
    this.#format = format;
  }

  event(name: string, facts: Record<string, unknown>): void {
    const level = LEVELS[name] ?? "debug";
    if (ORDER.indexOf(level) < this.#least) return;
    const time = new Date().toISOString();
    if (this.#format === "json") {
      console.error(JSON.stringify({ time, level, event: name, ...facts }));
    } else {
      const words = Object.entries(facts).map(([key, value]) => `${key}=${text(value)}`);
      console.error([time, name, ...words].join(" "));
    }
  }
}

function text(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value) ?? "undefined";
  return /^[\w.:/-]*$/.test(value) ? value : JSON.stringify(value);
}
