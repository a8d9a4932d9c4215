/**
 * The world as the core sees it. Every port has a real implementation in `core/host` (or `net/peer`) and one that
 * the simulator drives; `tests/contracts` runs one test body over both.
 */
import type { Message } from "../raft/message.ts";
import type { Milliseconds, NodeId } from "./ids.ts";

/**
 * An open file. Reads and writes are synchronous: they go to the operating system's cache and take microseconds;
 * only `sync` waits for the device. Used by the main thread and by workers, each with files of its own.
 */
export interface DiskFile {
  /** Fills `into` from `offset`; returns the bytes read, fewer than asked only at the end of the file. */
  readAt(into: Uint8Array, offset: number): number;
  /** Writes all bytes at `offset`, growing the file where needed. */
  writeAt(bytes: Uint8Array, offset: number): void;
  /**
   * Resolves when everything written before the call is on the device. A rejection is fatal to the process
   * (promise 1): the data may be lost although a later call succeeds.
   */
  sync(): Promise<void>;
  truncate(size: number): void;
  size(): number;
  close(): void;
}

/** Files below the data folder of one node. Paths are relative to it and use `/`. */
export interface Disk {
  /** `read`: must exist. `write`: read and write, created when missing. */
  openFile(path: string, mode: "read" | "write"): DiskFile;
  exists(path: string): boolean;
  /** Names in a folder, sorted; empty when the folder is missing. */
  list(path: string): string[];
  /** Creates the folder and its parents; no error when it exists. */
  makeDirectory(path: string): void;
  remove(path: string): void;
  rename(from: string, to: string): void;
  /** Makes creations, renames and removals in the folder durable. */
  syncDirectory(path: string): Promise<void>;
}

export interface Clock {
  /** Monotonic. */
  nowMs(): Milliseconds;
  /** Since 1970, for what people read and for SQL's `datetime('now')`. Never for time limits. */
  wallMs(): Milliseconds;
  /** Calls back once, not before `delayMs`; the result cancels it. */
  after(delayMs: Milliseconds, callback: () => void): () => void;
}

/**
 * Calls back once everything that has arrived by now was handed on. What is sent to a worker in one message costs a
 * fraction of what the same costs in many, so work gathers until then.
 */
export type EndOfTurn = (callback: () => void) => void;

/** Tells that somebody gave up. An AbortSignal is one; where millions pass by, something smaller does. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  bytes(length: number): Uint8Array;
}

/**
 * Messages and calls between members. Called by the main thread.
 *
 * `send` is fire and forget: a message may be lost, delayed or repeated, and arrives unchanged or not at all.
 */
export interface Transport {
  /** Since the start. */
  readonly traffic: PeerTraffic;
  send(message: Message): void;
  /**
   * Asks another member and waits for its answer. Rejects with NodeError: `no_leader`-like codes for what never left,
   * `commit_unknown` when the request left and the answer did not come.
   */
  call(to: NodeId, method: string, body: Uint8Array, timeoutMs: Milliseconds): Promise<Uint8Array>;
  /** The members to keep connections to; called at each change. */
  setPeers(peers: readonly PeerAddress[]): void;
  close(): Promise<void>;
}

/** Bytes of messages and calls with all members together; what opens a connection is not counted. */
export interface PeerTraffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export interface PeerAddress {
  readonly id: NodeId;
  /** `HOST:PORT` of the peer listener. */
  readonly raftAddress: string;
}

/** What a transport tells its node; all calls come on the main thread. */
export interface TransportHandler {
  onMessage(message: Message): void;
  /** Serves a call of a peer; a rejection travels back as an ErrorRecord. */
  onCall(from: NodeId, method: string, body: Uint8Array): Promise<Uint8Array>;
  /** A message to the peer could not be delivered. */
  onUnreachable(peer: NodeId): void;
  /** What is sent to the peer can arrive from now on: it came up, or the way to it did. */
  onConnected(peer: NodeId): void;
  /** A live connection to the peer was closed by the other side: often the process died. */
  onDisconnected(peer: NodeId): void;
}

/** One named fact for the log of the node and for tests: `became_leader`, `log_truncated`. */
export interface EventSink {
  event(name: string, facts: Record<string, unknown>): void;
}
