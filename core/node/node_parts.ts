import type { Milliseconds, NodeId } from "../base/ids.ts";
import type { Clock, Disk, EndOfTurn, EventSink, Random, Transport } from "../base/ports.ts";
import type { HardStateFile } from "../log/hard_state.ts";
import type { NodeIdentity } from "../log/node_identity.ts";
import type { Log } from "../log/log.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { Raft } from "../raft/raft.ts";
import type { ShortWorkOptions } from "../sql/pool.ts";
import type { StartSqlWorker } from "../sql/worker_slot.ts";
import type { DiskReserve } from "./disk_reserve.ts";
import type { NewMember } from "./service.ts";

/** What a node is made of; `open_node.ts` gets it ready. */
export interface NodeParts {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Addresses this process announces. */
  readonly addresses: NewMember;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly endOfTurn: EndOfTurn;
  readonly random: Random;
  readonly events: EventSink;
  readonly raft: Raft;
  readonly log: Log;
  readonly hardState: HardStateFile;
  readonly reserve: DiskReserve;
  readonly store: PageStore;
  readonly transport: Transport;
  readonly startWorker: StartSqlWorker;
  readonly shortWork?: ShortWorkOptions;
  readonly readerCount: number;
  readonly tickMs: Milliseconds;
  /** To hand leadership over before this node goes, promises to it included. */
  readonly handOverMs: Milliseconds;
  /** As in `node.json`; its members stand in as long as the log does not tell. */
  readonly identity: NodeIdentity;
  readonly checkpointBytes: number;
  readonly checkpointAgeMs: Milliseconds;
  readonly retainMs: Milliseconds;
  readonly logBytesMax: number;
  readonly createDatabases: boolean;
  /** The process must end; nothing may be acknowledged any more. */
  readonly onFatal: (error: Error) => void;
}
