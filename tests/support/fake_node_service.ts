import { NodeError } from "../../core/base/errors.ts";
import type {
  CheckpointAnswer,
  CheckpointMode,
  ClusterStatus,
  DatabaseDescription,
  MemberChange,
  Metric,
  NewMember,
  NodeService,
  QueryAnswer,
  QueryRequest,
  Transaction,
  WriteAnswer,
  WriteRequest,
} from "../../core/node/service.ts";
import type { EncodedFields, ResultFormat } from "../../core/sql/values.ts";
import { encodeMsgpack } from "../../net/api/msgpack_encode.ts";

/**
 * A node without SQL, log or peers: it remembers what it was asked and answers what it was told to. Only for tests
 * of the HTTP layer, whose other side is the NodeService interface.
 */
export class FakeNodeService implements NodeService {
  readonly queries: QueryRequest[] = [];
  readonly writes: WriteRequest[] = [];
  readonly members: NewMember[] = [];
  /** `method(argument, …)` of every other call. */
  readonly calls: string[] = [];
  readonly databases = new Map<string, Uint8Array>([["main", new Uint8Array(0)]]);
  /** Thrown by the next call, then forgotten. */
  failure: unknown;
  ready = true;
  replayed = false;
  /** When the next writes were committed; lets time pass where the test wants it. */
  commit: () => number | undefined = () => undefined;
  /** Runs instead of the plain answer of `query`. */
  onQuery: ((request: QueryRequest) => Promise<QueryAnswer>) | undefined;
  /** JSON text of the fields of the next answers, without braces. */
  queryFields = `"columns":["a"],"types":["INTEGER"],"rows":[[1]]`;
  writeFields = `"changes":1,"last_insert_rowid":7`;
  batchFields = `"results":[{"changes":1,"last_insert_rowid":7},{"changes":0,"last_insert_rowid":7}]`;
  backupChunks: readonly Uint8Array[] = [new TextEncoder().encode("SQLite format 3\0"), new Uint8Array(100)];
  backupReleased = false;

  queryNow(): undefined {}

  async query(request: QueryRequest): Promise<QueryAnswer> {
    this.queries.push(request);
    this.#throwFailure();
    if (this.onQuery !== undefined) return await this.onQuery(request);
    return { fields: encodeFields(this.queryFields, request.format), index: 12, ageMs: 0 };
  }

  write(request: WriteRequest): Promise<WriteAnswer> {
    this.writes.push(request);
    return this.#answer(() => {
      const text = request.kind === "execute" ? this.writeFields : this.batchFields;
      const fields = encodeFields(text, request.format);
      return { fields, index: 13, replayed: this.replayed, committedMs: this.commit() };
    });
  }

  /** HTTP offers no transactions over several requests. */
  beginTransaction(): Promise<Transaction> {
    return Promise.reject(new NodeError("internal", "No test of the HTTP layer begins a transaction"));
  }

  listDatabases(): Promise<DatabaseDescription[]> {
    return this.#answer(() => [...this.databases.keys()].map(describe));
  }

  describeDatabase(name: string): Promise<DatabaseDescription> {
    return this.#answer(() => {
      if (!this.databases.has(name)) throw notFound(name);
      return describe(name);
    });
  }

  createDatabase(
    name: string,
    mustBeNew: boolean,
    timeoutMs: number,
  ): Promise<{ index: number; created: boolean }> {
    this.calls.push(`createDatabase(${name}, ${mustBeNew}, ${timeoutMs})`);
    return this.#answer(() => {
      if (this.databases.has(name) && mustBeNew) {
        throw new NodeError("database_exists", `Cannot create database ${name}: it exists`);
      }
      this.databases.set(name, new Uint8Array(0));
      return { index: 14, created: true };
    });
  }

  dropDatabase(name: string, timeoutMs: number): Promise<{ index: number }> {
    this.calls.push(`dropDatabase(${name}, ${timeoutMs})`);
    return this.#answer(() => {
      if (!this.databases.delete(name)) throw notFound(name);
      return { index: 15 };
    });
  }

  backup(
    name: string,
    timeoutMs: number,
  ): Promise<{ index: number; bytes: number; chunks: AsyncIterableIterator<Uint8Array> }> {
    this.calls.push(`backup(${name}, ${timeoutMs})`);
    return this.#answer(() => {
      if (!this.databases.has(name)) throw notFound(name);
      const bytes = this.backupChunks.reduce((sum, chunk) => sum + chunk.length, 0);
      return { index: 16, bytes, chunks: this.#backupIterator() };
    });
  }

  async restore(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    timeoutMs: number,
  ): Promise<{ index: number; pages: number; pageSize: number }> {
    this.calls.push(`restore(${name}, ${timeoutMs})`);
    this.#throwFailure();
    const bytes: number[] = [];
    for await (const chunk of chunks) bytes.push(...chunk);
    this.databases.set(name, Uint8Array.from(bytes));
    return { index: 17, pages: Math.ceil(bytes.length / 4096), pageSize: 4096 };
  }

  checkpoint(name: string, mode: CheckpointMode, timeoutMs: number): Promise<CheckpointAnswer> {
    this.calls.push(`checkpoint(${name}, ${mode}, ${timeoutMs})`);
    return this.#answer(() => {
      if (!this.databases.has(name)) throw notFound(name);
      return mode === "full" ? { index: 11, complete: true } : { index: 8, complete: false };
    });
  }

  cluster(): Promise<ClusterStatus> {
    return this.#answer(() => CLUSTER);
  }

  addMember(member: NewMember, timeoutMs: number): Promise<{ id: number }> {
    this.members.push(member);
    this.calls.push(`addMember(${timeoutMs})`);
    return this.#answer(() => ({ id: 4 }));
  }

  changeMember(id: number, change: MemberChange, timeoutMs: number): Promise<void> {
    const facts = Object.entries(change).map(([name, value]) => `${name} ${value}`);
    this.calls.push(`changeMember(${id}, ${facts.join(", ")}, ${timeoutMs})`);
    return this.#answer(() => {});
  }

  traits(): { weight: number; failureDomain: number } {
    return { weight: 0, failureDomain: 0 };
  }

  removeMember(id: number, timeoutMs: number): Promise<void> {
    this.calls.push(`removeMember(${id}, ${timeoutMs})`);
    return this.#answer(() => {});
  }

  transferLeadership(to: number | undefined, timeoutMs: number): Promise<{ leaderId: number }> {
    this.calls.push(`transferLeadership(${to}, ${timeoutMs})`);
    return this.#answer(() => ({ leaderId: to ?? 2 }));
  }

  leads(): boolean {
    return true;
  }

  isReady(): boolean {
    return this.ready;
  }

  metrics(): Metric[] {
    return [{ name: "is_leader", kind: "gauge", help: "1 on the leader", value: 1 }];
  }

  #answer<T>(make: () => T): Promise<T> {
    return Promise.resolve().then(() => {
      this.#throwFailure();
      return make();
    });
  }

  #throwFailure(): void {
    const failure = this.failure;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }

  async *#backupIterator(): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of this.backupChunks) {
        await Promise.resolve();
        yield chunk;
      }
    } finally {
      this.backupReleased = true;
    }
  }
}

const CLUSTER: ClusterStatus = {
  clusterId: "c0ffee",
  nodeId: 1,
  role: "leader",
  term: 3,
  leaderId: 1,
  leaderHttpAddress: "127.0.0.1:4001",
  tip: 20,
  commitIndex: 19,
  changing: false,
  members: [
    {
      id: 1,
      raftAddress: "127.0.0.1:5001",
      httpAddress: "127.0.0.1:4001",
      role: "leader",
      weight: 0,
      failureDomain: 0,
      matchIndex: 20,
      lag: 0,
      lastContactMs: 0,
    },
    {
      id: 2,
      raftAddress: "127.0.0.1:5002",
      httpAddress: "127.0.0.1:4002",
      role: "voter",
      weight: 5,
      failureDomain: 2n ** 63n,
      matchIndex: undefined,
      lag: undefined,
      lastContactMs: undefined,
    },
  ],
};

function describe(name: string): DatabaseDescription {
  return { name, id: 2, pageSize: 4096, pages: 3, bytes: 12288, index: 11, tip: 12, checkpointIndex: 8 };
}

function notFound(name: string): NodeError {
  return new NodeError("database_not_found", `There is no database ${name}`);
}

/** JSON fields in the format asked for. */
function encodeFields(text: string, format: ResultFormat): EncodedFields {
  const fields: object = JSON.parse(`{${text}}`);
  const count = Object.keys(fields).length;
  if (format === "json") return { format, count, bytes: new TextEncoder().encode(text) };
  // Fewer than 16 keys: the map header is one byte.
  return { format, count, bytes: encodeMsgpack(fields).subarray(1) };
}
