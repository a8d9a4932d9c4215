/** What a node offers to those who speak to clients: `net/http` and the tuple protocol. */
import type { DatabaseId, LogIndex, Milliseconds, NodeId, Unsigned64 } from "../base/ids.ts";
import type { CancelSignal } from "../base/ports.ts";
import type { MemberAddresses, MemberTraits } from "../raft/membership.ts";
import type { RowSink } from "../sql/row_sink.ts";
import type { EncodedFields, ResultFormat, RowShape, SqlParameters, Statement } from "../sql/values.ts";

export type ReadLevel = "linearizable" | "index" | "stale" | "as_of";

/** A moment of the retained history: a log index, or a time, which means the last change made until then. */
export type AsOf = { readonly index: LogIndex } | { readonly wallMs: Milliseconds };

export interface QueryRequest {
  readonly database: string;
  readonly sql: string;
  readonly parameters: SqlParameters;
  readonly level: ReadLevel;
  /** Level `index`: serve at this index or later. */
  readonly index?: LogIndex | undefined;
  /** Level `stale`: refuse when the last contact with a leader is longer ago. */
  readonly maxAgeMs?: Milliseconds | undefined;
  /** Level `as_of`: the moment whose state is shown. `view_expired` when the history does not reach back to it. */
  readonly asOf?: AsOf | undefined;
  /** For waiting and running together. */
  readonly timeoutMs: Milliseconds;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  readonly signal?: CancelSignal | undefined;
  /** Takes the rows if the query runs on the thread of the caller; it has them if the answer has no fields. */
  readonly into?: RowSink | undefined;
}

export interface QueryAnswer {
  /** `columns`, `types`, `rows`; none where the rows went into `into`. */
  readonly fields: EncodedFields;
  /** State the rows show; at level `as_of` the moment that was chosen. */
  readonly index: LogIndex;
  /** How long ago a leader was last heard; 0 on the leader. */
  readonly ageMs: Milliseconds;
}

/**
 * - `passive`: copies what no open view and no retention window still needs in the log; never waits for either.
 * - `full`: copies everything published; waits for older views to close and gives up the history before it.
 */
export type CheckpointMode = "passive" | "full";

export interface CheckpointAnswer {
  /** Everything up to here is in the `.db` file of this node. */
  readonly index: LogIndex;
  /** Nothing published is left out. */
  readonly complete: boolean;
}

export interface WriteRequest {
  readonly database: string;
  /** `execute` has one statement, `batch` any number in one transaction. */
  readonly kind: "execute" | "batch";
  readonly statements: readonly Statement[];
  readonly idempotencyKey?: string;
  readonly timeoutMs: Milliseconds;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
}

export interface WriteAnswer {
  /** `execute`: `changes`, `last_insert_rowid` and, with RETURNING, `columns`, `types`, `rows`. `batch`: `results`. */
  readonly fields: EncodedFields;
  readonly index: LogIndex;
  /** The idempotency key was known: this is the first answer, nothing was written now. */
  readonly replayed: boolean;
  /** On the clock of this node, for what it counts; undefined when another member led, or nothing was changed. */
  readonly committedMs?: Milliseconds | undefined;
}

export interface TransactionRunOptions {
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  readonly timeoutMs: Milliseconds;
  /** Stops the statement with `cancelled`. SQLite then rolls the transaction back if the statement had begun to write. */
  readonly signal?: CancelSignal;
}

/** A transaction over several requests. While it is open it has the writer of its database: other writes wait. */
export interface Transaction {
  /**
   * Runs one statement in it; fields as those of an `execute`, with rows also for a plain query. A NodeError leaves the
   * transaction open as SQLite does, unless `isOpen` is false afterwards.
   */
  run(statement: Statement, options: TransactionRunOptions): Promise<EncodedFields>;
  /** False from `commit`, `rollback`, a time limit, or the loss of the writer or of leadership on. */
  readonly isOpen: boolean;
  /**
   * Resolves when it is committed on a majority. Errors as of a write (`commit_unknown`, `not_leader`, …). With a foreign
   * key that still fails the transaction stays open, as in SQLite.
   */
  commit(timeoutMs: Milliseconds): Promise<{ index: LogIndex }>;
  /** Does nothing when it is not open any more. */
  rollback(): Promise<void>;
}

export interface DatabaseDescription {
  readonly name: string;
  readonly id: DatabaseId;
  readonly pageSize: number;
  readonly pages: number;
  readonly bytes: number;
  /** Log index of the newest published change. */
  readonly index: LogIndex;
  /** Last index appended for it, committed or not. */
  readonly tip: LogIndex;
  /** Everything up to here is in the `.db` file. */
  readonly checkpointIndex: LogIndex;
}

export interface MemberStatus {
  readonly id: NodeId;
  readonly raftAddress: string;
  readonly httpAddress: string;
  /** Where the dqlite protocol is spoken; missing where it is not. */
  readonly wireAddress?: string;
  /** A learner is on its way to a vote; stand-bys and spares stay what they are. */
  readonly role: "leader" | "voter" | "learner" | "stand_by" | "spare";
  readonly weight: Unsigned64;
  readonly failureDomain: Unsigned64;
  /** Last index known to be durable there; undefined when the answering node has not heard it from the leader. */
  readonly matchIndex: LogIndex | undefined;
  /** Undefined for spares as well, which are sent no entries. Entries behind the leader's tip. */
  readonly lag: number | undefined;
  readonly lastContactMs: Milliseconds | undefined;
}

export interface ClusterStatus {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly role: "leader" | "follower" | "candidate" | "learner" | "stand_by" | "spare";
  readonly term: number;
  readonly leaderId: NodeId | undefined;
  readonly leaderHttpAddress: string | undefined;
  readonly tip: LogIndex;
  readonly commitIndex: LogIndex;
  /** A change of members is under way. */
  readonly changing: boolean;
  readonly members: readonly MemberStatus[];
}

/** A voter gets its vote when it has caught up. */
export type WantedRole = "voter" | "stand_by" | "spare";

export interface NewMember extends MemberAddresses, MemberTraits {
  /** Missing: the role of the earlier life it replaces, else voter. */
  readonly role?: WantedRole;
}

/** What is left out stays as it is. */
export interface MemberChange extends MemberTraits {
  readonly role?: WantedRole;
}

/** All counters of the node since its start, and gauges; names are Prometheus names without the prefix `walraft_`. */
export interface Metric {
  readonly name: string;
  readonly kind: "counter" | "gauge";
  readonly help: string;
  readonly value: number;
}

export interface NodeService {
  /**
   * The answer where there is nothing to wait for: the query is short, and its state is here and confirmed. Undefined says
   * nothing; ask `query`.
   */
  queryNow(request: QueryRequest): QueryAnswer | undefined;
  query(request: QueryRequest): Promise<QueryAnswer>;
  write(request: WriteRequest): Promise<WriteAnswer>;
  /**
   * Waits for the writer of the database and keeps it; `timeoutMs` bounds the waiting. On the leader only: elsewhere
   * `not_leader`, and nothing is forwarded. Whoever begins one ends it: `commit` or `rollback`.
   */
  beginTransaction(database: string, options: { readonly timeoutMs: Milliseconds }): Promise<Transaction>;

  listDatabases(): Promise<DatabaseDescription[]>;
  describeDatabase(name: string): Promise<DatabaseDescription>;
  /** `created` is false when it existed and `mustBeNew` was not set. */
  createDatabase(
    name: string,
    mustBeNew: boolean,
    timeoutMs: Milliseconds,
  ): Promise<{ index: LogIndex; created: boolean }>;
  dropDatabase(name: string, timeoutMs: Milliseconds): Promise<{ index: LogIndex }>;
  /** A consistent `.db` file at a linearizable index, in chunks. Ending the iteration early releases the view. */
  backup(
    name: string,
    timeoutMs: Milliseconds,
  ): Promise<{ index: LogIndex; bytes: number; chunks: AsyncIterableIterator<Uint8Array> }>;
  /** Replaces or creates a database from the bytes of a `.db` file, atomically, after checking it. */
  restore(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    timeoutMs: Milliseconds,
  ): Promise<{ index: LogIndex; pages: number; pageSize: number }>;

  /** Brings the `.db` file of this node up to date. */
  checkpoint(name: string, mode: CheckpointMode, timeoutMs: Milliseconds): Promise<CheckpointAnswer>;

  cluster(): Promise<ClusterStatus>;
  /** Adds a member in the role it names. Members normally add themselves (`serve --join`). */
  addMember(member: NewMember, timeoutMs: Milliseconds): Promise<{ id: NodeId }>;
  removeMember(id: NodeId, timeoutMs: Milliseconds): Promise<void>;
  /**
   * Resolves when it is committed; for role `voter` when the member has caught up and has its vote. When that takes too long:
   * `commit_unknown`; it is a learner then and gets its vote as soon as it has. Asking for what is already so does nothing.
   */
  changeMember(id: NodeId, change: MemberChange, timeoutMs: Milliseconds): Promise<void>;
  /** Weight and failure domain of this node, as far as it knows; asks nobody. */
  traits(): Required<MemberTraits>;
  /** Hands leadership over; without `to`, to a voter chosen by weight and failure domain (`succession.ts`). */
  transferLeadership(to: NodeId | undefined, timeoutMs: Milliseconds): Promise<{ leaderId: NodeId }>;

  /** Whether this node leads, as far as it knows. */
  leads(): boolean;
  isReady(): boolean;
  metrics(): Metric[];
}
