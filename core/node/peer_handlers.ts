import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock } from "../base/ports.ts";
import type { Log } from "../log/log.ts";
import { decodeMembership } from "../raft/membership.ts";
import type { PageStore } from "../pages/page_store.ts";
import { readEntry, readPage, type Repair } from "./repair.ts";
import type { ViewReader } from "./view_pages.ts";
import type { Driver } from "./driver.ts";
import type { ForkJudge } from "./fork_judge.ts";
import type { Introductions } from "./introductions.ts";
import type { MemberAdmin } from "./member_admin.ts";
import type { PeerHandlers } from "./peer_calls.ts";
import { describeDatabase, type ReadPath } from "./read_path.ts";
import type { SnapshotSource } from "./snapshot_source.ts";
import type { StandingAnswer } from "./standing.ts";
import type { ToldMembership } from "./told_membership.ts";
import type { WritePath } from "./write_path.ts";

export interface PeerHandlersOptions {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly writes: WritePath;
  readonly reads: ReadPath;
  readonly members: MemberAdmin;
  readonly snapshots: SnapshotSource;
  readonly log: Log;
  readonly store: PageStore;
  readonly reader: ViewReader;
  readonly repair: Repair;
  readonly introductions: Introductions;
  readonly forks: ForkJudge;
  readonly told: ToldMembership;
  /** Resolves with an index that nothing committed before the call lies above. */
  readonly confirm: (deadlineMs: Milliseconds) => Promise<LogIndex>;
}

/** What the leader does for itself and for others; each refuses with `not_leader` elsewhere. */
export function makePeerHandlers(options: PeerHandlersOptions): PeerHandlers {
  const {
    clusterId,
    nodeId,
    clock,
    driver,
    writes,
    members,
    confirm,
    log,
    store,
    reader,
    repair,
    introductions,
    forks,
    told,
  } = options;
  const until = (timeoutMs: Milliseconds): Milliseconds => clock.nowMs() + timeoutMs;
  return {
    write: (request, timeoutMs, from) =>
      writes.write({ ...request, timeoutMs }, until(timeoutMs), from !== nodeId),
    create_database: (request, timeoutMs) =>
      writes.createDatabase(request.name, request.mustBeNew, until(timeoutMs)),
    drop_database: (request, timeoutMs) => writes.dropDatabase(request.name, until(timeoutMs)),
    import_begin: (request, timeoutMs) =>
      writes.beginImport(request.name, request.pageSize, until(timeoutMs)),
    import_pages: (request, timeoutMs) =>
      writes.importPages(request.databaseId, request.body, until(timeoutMs)),
    import_finish: (request, timeoutMs) => writes.finishImport(request.databaseId, until(timeoutMs)),
    import_abort: (request, timeoutMs) => writes.abortImport(request.databaseId, until(timeoutMs)),
    members: () => Promise.resolve(members.members()),
    add_member: async (request, timeoutMs) => ({ id: (await members.add(request, until(timeoutMs))).id }),
    remove_member: async (request, timeoutMs) => {
      await members.remove(request.id, until(timeoutMs));
      return null;
    },
    change_member: async ({ id, ...change }, timeoutMs) => {
      await members.changeMember(id, change, until(timeoutMs));
      return null;
    },
    transfer: (request, timeoutMs) => members.transfer(request.to, until(timeoutMs)),
    set_addresses: async ({ id, ...member }, timeoutMs) => {
      await members.announced(id, member, until(timeoutMs));
      return null;
    },
    standing: async ({ id }, timeoutMs) => {
      mustLead(driver, "say who belongs to the cluster");
      return standing(driver, id, await confirm(until(timeoutMs)));
    },
    log_mark: ({ index }) => Promise.resolve(forks.mark(index)),
    fork_suspected: ({ index }, _timeoutMs, from) => {
      forks.suspectedBy(from, index);
      return Promise.resolve(null);
    },
    introduce: ({ id, raftAddress, news }) => {
      introductions.heard({ id, raftAddress });
      if (news !== undefined) told.hear(news);
      return Promise.resolve(null);
    },
    ...readHandlers(options),
    log_entry: ({ index }) => attempt(() => readEntry(log, index, repair)),
    page: (request) => attempt(() => readPage(store, reader, request)),
    ...snapshotHandlers(options),
    join: async (request, timeoutMs) => {
      mustLead(driver, "add a member");
      const { id, membership } = await members.add(request, until(timeoutMs));
      return { clusterId, nodeId: id, membership };
    },
  };
}

/** For spares, which have nothing to read. */
function readHandlers(
  { clock, driver, reads, store }: PeerHandlersOptions,
): Pick<PeerHandlers, "query" | "list_databases" | "describe_database"> {
  const reach = async (timeoutMs: Milliseconds): Promise<void> => {
    mustLeadToRead(driver);
    await reads.reach("linearizable", undefined, undefined, clock.nowMs() + timeoutMs);
  };
  return {
    query: (request, timeoutMs) =>
      attempt(() => {
        mustLeadToRead(driver);
        return reads.query({ ...request, timeoutMs }, clock.nowMs() + timeoutMs);
      }),
    list_databases: async (_, timeoutMs) => {
      await reach(timeoutMs);
      return store.list().map(describeDatabase);
    },
    describe_database: async ({ name }, timeoutMs) => {
      await reach(timeoutMs);
      return describeDatabase(reads.find(name));
    },
  };
}

/** Without a hint: the member that asks looks for the leader itself. */
function mustLeadToRead(driver: Driver): void {
  if (driver.role === "leader") return;
  throw new NodeError("not_leader", "Cannot read for a spare: this node does not lead; ask again");
}

function snapshotHandlers(
  { clock, driver, snapshots, confirm }: PeerHandlersOptions,
): Pick<PeerHandlers, "snapshot_begin" | "snapshot_pages" | "snapshot_end"> {
  return {
    snapshot_begin: async ({ member, atLeast, hasForgotten }, timeoutMs) => {
      mustLead(driver, "send a snapshot");
      // A member that takes part must not wait for this: a leader may need its acknowledgement to confirm anything.
      if (!hasForgotten) return snapshots.begin(member, atLeast);
      const confirmed = await confirm(clock.nowMs() + timeoutMs);
      // What this log does not hold was never committed: what the member has forgotten above it is gone for good.
      return snapshots.begin(member, Math.max(confirmed, Math.min(atLeast, driver.raft.lastIndex)));
    },
    snapshot_pages: (request) => attempt(() => snapshots.pages(request)),
    snapshot_end: ({ sessionId }) => {
      snapshots.end(sessionId);
      return Promise.resolve(null);
    },
  };
}

function attempt<T>(action: () => T | Promise<T>): Promise<T> {
  return new Promise((resolve) => resolve(action()));
}

/** @param index confirmed by a majority just now */
function standing(driver: Driver, id: NodeId, index: LogIndex): StandingAnswer {
  mustLead(driver, "say who belongs to the cluster");
  const { members } = decodeMembership(driver.raft.committedMembership());
  return { isMember: members.some((member) => member.id === id), index };
}

/** A node that does not take part yet asks any member; it is sent on to the leader's peer address. */
function mustLead(driver: Driver, what: string): void {
  if (driver.role === "leader") return;
  const leader = driver.raft.membership.members.find((member) => member.id === driver.leader);
  const details = leader === undefined ? {} : { leader: leader.raftAddress };
  throw new NodeError("not_leader", `Cannot ${what}: this node does not lead`, details);
}
