/** One Raft core with a log in memory and a disk that keeps what was synced: what a driver does, without a driver. */
import { assert } from "../../core/base/assert.ts";
import type { LogIndex, NodeId } from "../../core/base/ids.ts";
import {
  decodeMembership,
  EMPTY_MEMBERSHIP,
  encodeMembership,
  type Membership,
} from "../../core/raft/membership.ts";
import { type Entry, EntryType, type Message, type SnapshotMetadata } from "../../core/raft/message.ts";
import type { ChainHash, RaftOptions } from "../../core/raft/options.ts";
import type { HardState, LogReader, Output } from "../../core/raft/output.ts";
import { Raft } from "../../core/raft/raft.ts";

/** FNV-1a over all that identifies an entry; the core only needs it to be the same everywhere. */
export const testChainHash: ChainHash = (previousHash, term, index, type, data) => {
  let hash = previousHash ^ 0x811c_9dc5;
  const mix = (value: number) => hash = Math.imul(hash ^ value, 0x0100_0193);
  mix(term);
  mix(index);
  mix(type);
  for (const byte of data) mix(byte);
  return hash >>> 0;
};

export function membershipOf(
  voters: readonly NodeId[],
  learners: readonly NodeId[] = [],
  standBys: readonly NodeId[] = [],
  spares: readonly NodeId[] = [],
): Membership {
  const ids = [...voters, ...learners, ...standBys, ...spares].sort((a, b) => a - b);
  return {
    voters,
    votersOutgoing: [],
    learners,
    standBys,
    spares,
    members: ids.map((id) => ({ id, raftAddress: `host${id}:1`, httpAddress: `host${id}:2` })),
    nextNodeId: (ids.at(-1) ?? 0) + 1,
  };
}

export function firstEntry(membership: Membership): Entry {
  const data = encodeMembership(membership);
  const type = EntryType.membership;
  return { index: 1, term: 1, type, data, hash: testChainHash(0, 1, 1, type, data) };
}

/** Data entries of these terms behind the first entry, which holds the membership. */
export function logOf(membership: Membership, terms: readonly number[]): MemoryLog {
  const log = new MemoryLog();
  log.append([firstEntry(membership)]);
  for (const term of terms) log.append([nextEntry(log, term, `${term}/${log.lastIndex() + 1}`)]);
  return log;
}

export function nextEntry(log: MemoryLog, term: number, text: string): Entry {
  const index = log.lastIndex() + 1;
  const data = new TextEncoder().encode(text);
  const type = EntryType.data;
  return { index, term, type, data, hash: testChainHash(log.hashAt(index - 1)!, term, index, type, data) };
}

/** A log that begins after `base`; entries are replaced from the first new index on. */
export class MemoryLog implements LogReader {
  base: SnapshotMetadata | undefined;
  list: Entry[] = [];

  copy(): MemoryLog {
    const copy = new MemoryLog();
    copy.base = this.base;
    copy.list = [...this.list];
    return copy;
  }

  firstIndex(): LogIndex {
    return (this.base?.index ?? 0) + 1;
  }

  lastIndex(): LogIndex {
    return this.firstIndex() - 1 + this.list.length;
  }

  at(index: LogIndex): Entry | undefined {
    return this.list[index - this.firstIndex()];
  }

  termAt(index: LogIndex): number | undefined {
    return index === this.firstIndex() - 1 ? this.base?.term ?? 0 : this.at(index)?.term;
  }

  hashAt(index: LogIndex): number | undefined {
    return index === this.firstIndex() - 1 ? this.base?.hash ?? 0 : this.at(index)?.hash;
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): Entry[] {
    assert(from >= this.firstIndex() && to <= this.lastIndex() && from <= to, `No entries ${from} to ${to}`);
    const found: Entry[] = [];
    let bytes = 0;
    for (let index = from; index <= to; index++) {
      const entry = this.at(index)!;
      bytes += entry.data.length;
      if (found.length > 0 && bytes > bytesMax) break;
      found.push(entry);
    }
    return found;
  }

  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index >= this.firstIndex() && first.index <= this.lastIndex() + 1, `Gap at ${first.index}`);
    this.list.length = first.index - this.firstIndex();
    this.list.push(...entries);
  }

  /** The latest membership at or below `index`. */
  membershipAt(index: LogIndex): Membership {
    for (let at = Math.min(index, this.lastIndex()); at >= this.firstIndex(); at--) {
      const entry = this.at(at)!;
      if (entry.type === EntryType.membership) return decodeMembership(entry.data);
    }
    return this.base === undefined ? EMPTY_MEMBERSHIP : decodeMembership(this.base.membership);
  }

  restart(base: SnapshotMetadata): void {
    this.base = base;
    this.list = [];
  }

  /** Forgets everything up to `base`, which lies inside the log. */
  compact(base: SnapshotMetadata): void {
    const list = this.list.filter((entry) => entry.index > base.index);
    this.base = base;
    this.list = list;
  }
}

export interface Disk {
  hardState: HardState;
  log: MemoryLog;
  /** Highest commit index noted with a durable append. */
  commitIndex: LogIndex;
}

export interface RaftNodeHooks {
  send(message: Message): void;
  /** After the output's writes were started and `sendNow` was sent. */
  onOutput?(node: RaftNode, output: Output): void;
}

/** Where a crash falls within the writes under way: how many outputs reached the disk, each kind in its order. */
export interface CrashPoint {
  readonly hardStates: number;
  readonly appends: number;
  /** Entries of the next append that got there. */
  readonly entries: number;
}

export class RaftNode {
  readonly id: NodeId;
  readonly disk: Disk;
  /** What the core reads: every append, synced or not. */
  log: MemoryLog;
  raft: Raft;
  /** Not persisted yet, oldest first. */
  outstanding: Output[] = [];
  alive = true;
  /** Life by life: outputs of an earlier one must not be acted on. */
  life = 1;
  /** What the newest output said is committed and durable. */
  publishedIndex: LogIndex;
  #durableHardState: HardState;
  /** Those of the next life may be others. */
  options: RaftOptions;
  readonly #random: () => number;
  readonly #hooks: RaftNodeHooks;

  constructor(options: RaftOptions, disk: Disk, random: () => number, hooks: RaftNodeHooks) {
    this.id = options.id;
    this.disk = disk;
    this.options = options;
    this.#random = random;
    this.#hooks = hooks;
    this.#durableHardState = disk.hardState;
    this.log = disk.log.copy();
    this.raft = this.#start();
    this.publishedIndex = this.raft.commitIndex;
  }

  get durableHardState(): HardState {
    return this.#durableHardState;
  }

  #start(): Raft {
    this.#durableHardState = this.disk.hardState;
    this.log = this.disk.log.copy();
    return new Raft(this.options, {
      hardState: this.disk.hardState,
      log: this.log,
      membership: this.log.membershipAt(Infinity),
      commitIndex: Math.max(this.disk.commitIndex, this.log.firstIndex() - 1),
      random: this.#random,
    });
  }

  /** Takes outputs until there is nothing to do; the syncs they start end in `sync`. Returns how many there were. */
  run(): number {
    let count = 0;
    for (let output = this.raft.takeOutput(); output !== undefined; output = this.raft.takeOutput()) {
      this.#carryOut(output);
      count++;
      assert(count < 100, `Node ${this.id} does not come to rest`);
    }
    return count;
  }

  #carryOut(output: Output): void {
    this.log.append(output.entries);
    this.publishedIndex = output.commitIndex;
    for (const message of output.sendNow) this.#hooks.send(message);
    const nothingToWrite = output.entries.length === 0 && output.hardState === undefined;
    if (nothingToWrite && this.outstanding.length === 0) {
      this.raft.persisted(output.sequence);
      for (const message of output.sendAfterSync) this.#hooks.send(message);
    } else {
      this.outstanding.push(output);
    }
    this.#hooks.onOutput?.(this, output);
  }

  /** The oldest `count` outputs become durable; one call to the core stands for all of them. */
  sync(count = this.outstanding.length): void {
    const done = this.outstanding.splice(0, count);
    const newest = done.at(-1);
    if (newest === undefined) return;
    for (const output of done) this.#write(output);
    this.#durableHardState = this.disk.hardState;
    this.raft.persisted(newest.sequence);
    for (const output of done) {
      for (const message of output.sendAfterSync) this.#hooks.send(message);
    }
  }

  #write(output: Output): void {
    if (output.hardState !== undefined) this.disk.hardState = output.hardState;
    this.#writeEntries(output, output.entries.length);
  }

  #writeEntries(output: Output, count: number): void {
    if (count === 0) return;
    this.disk.log.append(output.entries.slice(0, count));
    this.disk.commitIndex = Math.max(this.disk.commitIndex, output.commitIndex);
  }

  /** Everything in memory is lost, and of the writes under way what `point` does not save. */
  crash(point: CrashPoint): void {
    assert(this.alive, `Node ${this.id} is down already`);
    const states = this.outstanding.filter((output) => output.hardState !== undefined);
    const appends = this.outstanding.filter((output) => output.entries.length > 0);
    const state = states[Math.min(point.hardStates, states.length) - 1];
    if (state?.hardState !== undefined) this.disk.hardState = state.hardState;
    for (const output of appends.slice(0, point.appends)) this.#writeEntries(output, output.entries.length);
    const torn = appends[point.appends];
    if (torn !== undefined) this.#writeEntries(torn, Math.min(point.entries, torn.entries.length));
    this.outstanding = [];
    this.alive = false;
  }

  restart(): void {
    assert(!this.alive, `Node ${this.id} runs already`);
    this.raft = this.#start();
    this.publishedIndex = this.raft.commitIndex;
    this.alive = true;
    this.life++;
  }

  /** What the log after a compaction at `index`, or a snapshot of it, begins with. */
  baseAt(index: LogIndex, encode: (membership: Membership) => Uint8Array): SnapshotMetadata {
    const term = this.log.termAt(index);
    const hash = this.log.hashAt(index);
    assert(term !== undefined && hash !== undefined, `No entry ${index}`);
    return { index, term, hash, membership: encode(this.log.membershipAt(index)) };
  }

  /** The checkpoint is durable: the log may forget what it holds. Only durable, published entries. */
  compact(base: SnapshotMetadata): void {
    assert(base.index <= this.disk.log.lastIndex(), `Entry ${base.index} is not durable`);
    this.log.compact(base);
    this.disk.log.compact(base);
    this.disk.commitIndex = Math.max(this.disk.commitIndex, base.index);
  }

  /** The snapshot has arrived and is durable. */
  install(snapshot: SnapshotMetadata): void {
    this.run();
    this.sync();
    this.run();
    this.sync();
    this.log.restart(snapshot);
    this.disk.log.restart(snapshot);
    this.disk.commitIndex = snapshot.index;
    this.raft.snapshotInstalled(snapshot);
  }
}
