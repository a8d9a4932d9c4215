import type { CancelSignal } from "../../core/base/ports.ts";
import type { NodeService } from "../../core/node/service.ts";
import { type Answer, EMPTY, respond } from "./answer.ts";
import { CallRequests } from "./call_requests.ts";
import { ClusterRequests } from "./cluster_requests.ts";
import { FailureError } from "./failure.ts";
import { FAILURE } from "./failure_codes.ts";
import type { ProtocolVersion } from "./handshake.ts";
import type { Request } from "./request.ts";
import { SqlRequests } from "./sql_requests.ts";

/** dqlite's; no client looks at it. */
const HEARTBEAT_TIMEOUT_MS = 15_000;

export interface DispatcherContext {
  readonly node: NodeService;
  /** Whether Open creates a database that does not exist, as dqlite does. */
  readonly createDatabases: boolean;
}

/** The requests of one connection and what answers each. */
export class Dispatcher {
  readonly #version: ProtocolVersion;
  readonly #sql: SqlRequests;
  readonly #cluster: ClusterRequests;
  readonly #calls: CallRequests;

  constructor({ node, createDatabases }: DispatcherContext, version: ProtocolVersion) {
    this.#version = version;
    this.#sql = new SqlRequests(node, createDatabases);
    this.#cluster = new ClusterRequests(node);
    this.#calls = new CallRequests(node);
  }

  /**
   * @param signal aborts when the client interrupts or leaves
   * @throws whatever `failureOf` knows to turn into a Failure
   */
  answer(request: Request, signal: CancelSignal): Answer | Promise<Answer> {
    switch (request.kind) {
      case "leader":
        return this.#cluster.leader(this.#version);
      case "client":
        return respond({ kind: "welcome", heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS });
      case "heartbeat":
        throw new FailureError(FAILURE.requestTypeUnknown);
      case "open":
        return this.#sql.open(request);
      case "prepare":
        return this.#sql.prepare(request, signal);
      case "exec":
        return this.#sql.exec(request, signal);
      case "query":
        return this.#sql.query(request, signal);
      case "finalize":
        return this.#sql.finalize(request);
      case "exec_sql":
        return this.#sql.execSql(request, signal);
      case "query_sql":
        return this.#sql.querySql(request, signal);
      case "interrupt":
        return EMPTY;
      case "connect":
        return { kind: "close" };
      case "add":
        return this.#cluster.add(request);
      case "assign":
        return this.#cluster.assign(request);
      case "remove":
        return this.#cluster.remove(request);
      case "dump":
        return this.#cluster.dump(request);
      case "cluster":
        return this.#cluster.cluster(request);
      case "transfer":
        return this.#cluster.transfer(request);
      case "describe":
        return this.#cluster.describe();
      case "weight":
        return this.#cluster.weight(request);
      case "hello":
        return this.#calls.hello(request);
      case "read":
        return this.#calls.read(request, signal);
      case "write":
        return this.#calls.write(request);
    }
  }

  /** The client is gone: its transaction is rolled back. */
  async close(): Promise<void> {
    await this.#sql.close();
  }
}
