import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import type { PeerAddress, TransportHandler } from "../base/ports.ts";
import { databaseFile } from "../pages/checkpoint_meta.ts";
import type { Membership, MemberTraits } from "../raft/membership.ts";
import type { Message } from "../raft/message.ts";
import { isOnlyVoter } from "../raft/quorum.ts";
import { SqlPool } from "../sql/pool.ts";
import { Announcement } from "./announcement.ts";
import { settleFileNames } from "./checkpoints.ts";
import { clusterStatus } from "./cluster_status.ts";
import { mustBeName } from "./database_name.ts";
import { DiskRelief } from "./disk_relief.ts";
import { Driver } from "./driver.ts";
import { ForkJudge } from "./fork_judge.ts";
import { Introductions } from "./introductions.ts";
import { KnownMembers } from "./known_members.ts";
import { LeaderCalls } from "./leader_calls.ts";
import { LeaderContact } from "./leader_contact.ts";
import { MemberAdmin } from "./member_admin.ts";
import { MemberCalls } from "./member_calls.ts";
import { nodeMetrics } from "./node_metrics.ts";
import type { NodeParts } from "./node_parts.ts";
import { type PeerHandlers, type PeerMethod, type PeerMethods, servePeerCall } from "./peer_calls.ts";
import { makePeerHandlers } from "./peer_handlers.ts";
import { ReadGate } from "./read_gate.ts";
import { describeDatabase, ReadPath } from "./read_path.ts";
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
} from "./service.ts";
import { Standing } from "./standing.ts";
import { Storage } from "./storage.ts";
import { Sweeper } from "./sweeper.ts";
import { leftToLeader, ToldMembership } from "./told_membership.ts";
import { importSteps, Transfer } from "./transfer.ts";
import { Vacancy } from "./vacancy.ts";
import { WritePath } from "./write_path.ts";

/** Until a call that has no time limit of its own is sure of what it says. */
const CONFIRM_MS_MAX = 10_000;

/** One member of the cluster: wires the parts together and offers them as a service. No logic of its own. */
export class Node implements NodeService, TransportHandler {
  readonly #parts: NodeParts;
  readonly #driver: Driver;
  readonly #pool: SqlPool;
  readonly #gate: ReadGate;
  readonly #reads: ReadPath;
  readonly #writes: WritePath;
  readonly #leaderCalls: LeaderCalls;
  readonly #calls: MemberCalls;
  readonly #members: MemberAdmin;
  readonly #storage: Storage;
  readonly #transfer: Transfer;
  readonly #peerHandlers: PeerHandlers;
  readonly #contact: LeaderContact;
  readonly #sweeper: Sweeper;
  readonly #known: KnownMembers;
  readonly #introductions: Introductions;
  readonly #forks: ForkJudge;
  readonly #standing: Standing;
  readonly #told: ToldMembership;
  readonly #announcement: Announcement;
  #cancelTick: () => void = () => {};
  #stopped = false;
  #stopping: Promise<void> | undefined;
  #failed = false;
  readonly #relief: DiskRelief;
  readonly #vacancy: Vacancy;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    const { disk, clock, events, tickMs } = parts;
    this.#known = new KnownMembers(disk, parts.identity, events);
    this.#sweeper = this.#makeSweeper();
    const told = this.#told = new ToldMembership({
      ...parts,
      onChange: (membership) => this.#onMembership(membership),
    });
    const driver = this.#driver = this.#makeDriver();
    const pool = this.#pool = this.#makePool();
    const gate = this.#gate = this.#makeGate();
    this.#contact = new LeaderContact({ clock, confirm: (deadlineMs) => this.#confirmIndex(deadlineMs) });
    const reads = this.#reads = new ReadPath({
      ...parts,
      pool,
      gate,
      isChangingOver: () => this.#storage.install.isChangingOver,
      leaderAgeMs: () => this.#leaderAgeMs(),
    });
    const writes = this.#writes = new WritePath({ ...parts, driver, gate, pool });
    const barrier = (deadlineMs: Milliseconds) => {
      this.#sweeper.watch();
      return writes.barrier(deadlineMs);
    };
    this.#introductions = this.#makeIntroductions();
    this.#forks = this.#makeForkJudge();
    this.#standing = this.#makeStanding();
    const membership = () => told.current;
    const members = this.#members = new MemberAdmin({ driver, clock, events, membership, tickMs, barrier });
    this.#announcement = this.#makeAnnouncement();
    this.#vacancy = new Vacancy({ ...parts, driver });
    const handOver = () => members.transfer(undefined, this.#deadline(parts.handOverMs));
    this.#relief = new DiskRelief({ ...parts, leads: () => this.leads(), handOver });
    this.#leaderCalls = new LeaderCalls({
      clock,
      leads: () => this.leads(),
      leader: () => driver.leader,
      leaderHttpAddress: () => this.#leaderHttpAddress(),
    });
    this.#calls = new MemberCalls({
      ...parts,
      leaderCalls: this.#leaderCalls,
      handlers: () => this.#peerHandlers,
      isStopped: () => this.#stopped,
    });
    const storage = this.#storage = this.#makeStorage();
    const { reader, snapshots, repair } = storage;
    const confirm = (deadlineMs: Milliseconds) => this.#confirmIndex(deadlineMs);
    const steps = importSteps((method, request, deadlineMs) => this.#atLeader(method, request, deadlineMs));
    this.#transfer = new Transfer({ disk, clock, pool, reader, steps });
    this.#peerHandlers = makePeerHandlers({
      ...parts,
      driver,
      writes,
      reads,
      members,
      snapshots,
      confirm,
      reader,
      repair,
      introductions: this.#introductions,
      forks: this.#forks,
      told,
    });
  }

  #makeAnnouncement(): Announcement {
    return new Announcement({
      ...this.#parts,
      membership: () => this.#told.current,
      announce: (member, deadlineMs) => this.#atLeader("set_addresses", member, deadlineMs),
    });
  }

  #makeIntroductions(): Introductions {
    const { clock, nodeId, addresses } = this.#parts;
    return new Introductions({
      clock,
      driver: this.#driver,
      self: { id: nodeId, raftAddress: addresses.raftAddress },
      call: (to, self, news) =>
        this.#calls.to(to, "introduce", { ...self, ...(news === undefined ? {} : { news }) }),
      onChange: () => this.#onMembership(this.#told.current),
    });
  }

  #makeForkJudge(): ForkJudge {
    return new ForkJudge({
      ...this.#parts,
      committedIndex: () => this.#parts.store.publishedIndex,
      askMark: (member, index) => this.#calls.to(member, "log_mark", { index }),
      tell: (member, index) => this.#calls.to(member, "fork_suspected", { index }),
      onFatal: (error) => this.#fail(error),
    });
  }

  #makeStanding(): Standing {
    const { nodeId } = this.#parts;
    return new Standing({
      ...this.#parts,
      members: () => this.#knownPeers(),
      ask: (member) => this.#calls.to(member, "standing", { id: nodeId }),
      onFatal: (error) => this.#fail(error),
    });
  }

  #makeStorage(): Storage {
    return new Storage({
      parts: this.#parts,
      driver: this.#driver,
      pool: this.#pool,
      writersNeedFrom: () => this.#writes.needsFrom(),
      onCheckpoint: (database) => this.#writes.onCheckpoint(database),
      callMember: (to, method, request) => this.#calls.to(to, method, request),
      onPublished: (index) => this.#onPublished(index),
      onFatal: (error) => this.#fail(error),
    });
  }

  #makeDriver(): Driver {
    return new Driver({
      ...this.#parts,
      listener: {
        onTransaction: (transaction) => this.#writes.onTransaction(transaction),
        onSynced: (index) => this.#writes.stages.synced(index),
        onPublished: (index) => this.#onPublished(index),
        onReadState: (state) => this.#gate.onReadState(state),
        onCommitNews: (hasNews) => this.#writes.onCommitNews(hasNews),
        onRole: () => this.#onRole(),
        onMembership: () => this.#onMembership(this.#told.current),
        onFork: (fork) => this.#forks.suspect(fork),
        onSnapshot: (snapshot) => this.#storage.install.begin(snapshot),
        onFatal: (error) => this.#fail(error),
      },
    });
  }

  #makeSweeper(): Sweeper {
    return new Sweeper({
      clock: this.#parts.clock,
      sweep: () => {
        this.#gate.sweep();
        this.#reads.sweep();
        this.#writes.sweep();
      },
      waitingCount: () => this.#gate.waitingCount + this.#reads.waitingCount + this.#writes.waitingCount,
    });
  }

  #makePool(): SqlPool {
    const { startWorker, shortWork, readerCount, disk, clock, random, endOfTurn, events, log } = this.#parts;
    return new SqlPool({
      start: startWorker,
      ...(shortWork === undefined ? {} : { shortWork: { ...shortWork, disk, random } }),
      readerCount,
      endOfTurn,
      clock,
      events,
      segments: () => log.segments(),
      fileOf: (database) => databaseFile(database.fileName),
      onWriteResults: (results) => this.#writes.onWriteResults(results),
      onTransactionResults: (results) => this.#writes.onTransactionResults(results),
      onPageDamaged: ({ databaseId, damage }) => this.#storage.repair.page(databaseId, damage),
      onWriterGone: (databaseId) => this.#writes.onSessionGone(databaseId),
      onWriterLost: (running) => this.#writes.onWriterLost(running),
      onFatal: (message) => this.#fail(new Error(message)),
    });
  }

  #makeGate(): ReadGate {
    const { clock, endOfTurn, raft, random } = this.#parts;
    const host = {
      nowMs: () => clock.nowMs(),
      endOfTurn,
      hasLeader: () => this.#driver.leader !== 0,
      readNow: () => {
        const index = raft.readNow();
        if (index !== undefined && raft.isLeaseRenewalDue) this.#driver.schedule();
        return index;
      },
      readIndex: (context: number, count: number) => {
        raft.readIndex(context, count);
        this.#driver.schedule();
      },
    };
    return new ReadGate(host, 1 + Math.floor(random.next() * 2 ** 40));
  }

  /** Begins to take part: from here on the clock ticks. */
  start(): void {
    const { raft, nodeId } = this.#parts;
    this.#onMembership(raft.membership);
    // The only voter need not wait for anybody.
    if (isOnlyVoter(raft.membership, nodeId)) raft.campaign();
    this.#driver.run();
    this.#tick();
    // While the first sync runs, and behind what has arrived.
    this.#parts.endOfTurn(() => this.#pool.warm());
  }

  /** Stops serving, brings the `.db` files up to date, hands leadership over where that is possible. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#driver.role === "leader" && this.#parts.raft.membership.voters.length > 1) {
      const deadlineMs = this.#deadline(this.#parts.handOverMs);
      await this.#members.transfer(undefined, deadlineMs).catch(() => {});
    }
    this.#stopped = true;
    this.#vacancy.stop();
    this.#writes.stop();
    this.#reads.stop();
    this.#gate.rejectAll(new NodeError("stopping", "Cannot read: the node is stopping"));
    this.#leaderCalls.stop();
    this.#cancelTick();
    this.#sweeper.stop();
    await this.#driver.stop();
    this.#pool.stopQueries();
    await this.#storage.stop();
    await this.#storage.checkpoints.all();
    this.#pool.stop();
    await settleFileNames(this.#parts.disk, this.#parts.store);
    await this.#parts.transport.close();
    await this.#parts.log.close();
    await this.#parts.hardState.close();
    await this.#known.close();
    this.#storage.close();
  }

  // What clients ask.

  queryNow(request: QueryRequest): QueryAnswer | undefined {
    return this.#told.isSpare ? undefined : this.#reads.queryNow(request);
  }

  query(request: QueryRequest): Promise<QueryAnswer> {
    this.#sweeper.watch();
    const deadlineMs = this.#deadline(request.timeoutMs);
    if (!this.#told.isSpare) return this.#reads.query(request, deadlineMs);
    // A spare has nothing to show that were worth an age.
    const { signal: _signal, into: _into, ...passedOn } = request;
    return this.#atLeader("query", passedOn, deadlineMs);
  }

  write(request: WriteRequest): Promise<WriteAnswer> {
    mustBeName(request.database);
    return this.#atLeader("write", request, this.#deadline(request.timeoutMs));
  }

  beginTransaction(database: string, options: { readonly timeoutMs: Milliseconds }): Promise<Transaction> {
    this.#sweeper.watch();
    return this.#writes.beginTransaction(database, this.#deadline(options.timeoutMs));
  }

  async listDatabases(): Promise<DatabaseDescription[]> {
    if (this.#told.isSpare) return await this.#atLeader("list_databases", {}, this.#deadline(CONFIRM_MS_MAX));
    await this.#confirm();
    return this.#parts.store.list().map(describeDatabase);
  }

  async describeDatabase(name: string): Promise<DatabaseDescription> {
    if (this.#told.isSpare) {
      return await this.#atLeader("describe_database", { name }, this.#deadline(CONFIRM_MS_MAX));
    }
    await this.#confirm();
    return describeDatabase(this.#reads.find(name));
  }

  createDatabase(
    name: string,
    mustBeNew: boolean,
    timeoutMs: Milliseconds,
  ): Promise<{ index: LogIndex; created: boolean }> {
    mustBeName(name);
    return this.#atLeader("create_database", { name, mustBeNew }, this.#deadline(timeoutMs));
  }

  dropDatabase(name: string, timeoutMs: Milliseconds): Promise<{ index: LogIndex }> {
    return this.#atLeader("drop_database", { name }, this.#deadline(timeoutMs));
  }

  async backup(
    name: string,
    timeoutMs: Milliseconds,
  ): Promise<{ index: LogIndex; bytes: number; chunks: AsyncIterableIterator<Uint8Array> }> {
    this.#sweeper.watch();
    if (this.#told.isSpare) throw leftToLeader("back up", this.#leaderHttpAddress());
    await this.#reads.reach("linearizable", undefined, undefined, this.#deadline(timeoutMs));
    const index = this.#parts.store.publishedIndex;
    return { index, ...this.#transfer.backup(this.#reads.openView(name)) };
  }

  async checkpoint(name: string, mode: CheckpointMode, timeoutMs: Milliseconds): Promise<CheckpointAnswer> {
    if (this.#told.isSpare) throw leftToLeader("bring a file up to date", this.#leaderHttpAddress());
    await this.#confirm();
    return await this.#storage.checkpoints.checkpoint(
      this.#reads.find(name),
      mode,
      this.#deadline(timeoutMs),
    );
  }

  async restore(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    timeoutMs: Milliseconds,
  ): Promise<{ index: LogIndex; pages: number; pageSize: number }> {
    mustBeName(name);
    return await this.#transfer.restore(name, chunks, timeoutMs);
  }

  async cluster(): Promise<ClusterStatus> {
    return await clusterStatus({
      parts: this.#parts,
      driver: this.#driver,
      told: this.#told,
      members: () => this.#members.members(),
      membersAtLeader: (deadlineMs) => this.#atLeader("members", {}, deadlineMs),
    });
  }

  addMember(member: NewMember, timeoutMs: Milliseconds): Promise<{ id: NodeId }> {
    return this.#atLeader("add_member", member, this.#deadline(timeoutMs));
  }

  async removeMember(id: NodeId, timeoutMs: Milliseconds): Promise<void> {
    await this.#atLeader("remove_member", { id }, this.#deadline(timeoutMs));
  }

  async changeMember(id: NodeId, change: MemberChange, timeoutMs: Milliseconds): Promise<void> {
    const deadlineMs = this.#deadline(timeoutMs);
    await this.#atLeader("change_member", { id, ...change }, deadlineMs);
    if (id !== this.#parts.nodeId || this.#told.isSpare) return;
    // What was changed about this node is to be seen here at once. If not, it was changed all the same.
    await this.#reads.reach("linearizable", undefined, undefined, deadlineMs).catch(() => {});
  }

  traits(): Required<MemberTraits> {
    const { members } = this.#told.current;
    const { weight = 0, failureDomain = 0 } = members.find(({ id }) => id === this.#parts.nodeId) ?? {};
    return { weight, failureDomain };
  }

  transferLeadership(to: NodeId | undefined, timeoutMs: Milliseconds): Promise<{ leaderId: NodeId }> {
    return this.#atLeader("transfer", to === undefined ? {} : { to }, this.#deadline(timeoutMs));
  }

  leads(): boolean {
    return this.#driver.role === "leader";
  }

  /** Ready: it knows a leader and has published what was committed when it first heard one. */
  isReady(): boolean {
    const { publishedIndex } = this.#parts.store;
    if (this.#stopped || this.#driver.leader === 0) return false;
    return this.#told.isSpare || this.#contact.hasCaughtUp(publishedIndex);
  }

  metrics(): Metric[] {
    const { raft, log, store, reserve, transport } = this.#parts;
    return nodeMetrics({
      isLeader: this.#driver.role === "leader",
      term: this.#driver.term,
      tip: raft.lastIndex,
      store,
      log,
      isDiskFull: reserve.isFull,
      membership: this.#told.current,
      pool: this.#pool,
      waitingWrites: this.#writes.waitingCount,
      stages: this.#writes.stages.totals,
      traffic: transport.traffic,
      storage: this.#storage,
      leaderAgeMs: this.#leaderAgeMs(),
      leaseLeftMs: raft.leaseLeftMs,
      leaseReads: raft.leaseReadCount,
    });
  }

  // What peers send.

  onMessage(message: Message): void {
    this.#contact.onMessage(message, this.#driver.term);
    this.#driver.step(message);
  }

  onCall(from: NodeId, method: string, body: Uint8Array): Promise<Uint8Array> {
    if (this.#stopped) {
      return Promise.reject(new NodeError("not_leader", "The node is stopping; nothing was logged"));
    }
    this.#sweeper.watch();
    return servePeerCall(this.#peerHandlers, from, method, body);
  }

  onUnreachable(peer: NodeId): void {
    this.#parts.raft.reportUnreachable(peer);
    this.#driver.schedule();
  }

  /** A member that was away hears of its leader with this, not only with the next heartbeat. */
  onConnected(): void {
    this.#parts.raft.greet();
    this.#driver.schedule();
  }

  onDisconnected(peer: NodeId): void {
    this.#vacancy.onGone(peer);
  }

  #onPublished(index: LogIndex): void {
    this.#writes.onPublished(index);
    this.#reads.onPublished(index);
  }

  #onRole(): void {
    if (this.#driver.role === "leader") this.#writes.onLeadershipWon();
    else this.#writes.onLeadershipLost();
    if (this.#driver.leader !== 0) this.#leaderCalls.wake();
    if (this.#driver.leader !== 0) this.#contact.ask();
    if (this.#driver.leader !== 0) this.#announcement.attempt();
  }

  #onMembership(membership: Membership): void {
    const { nodeId, transport } = this.#parts;
    const peers = this.#introductions.withKnown(this.#knownPeers());
    transport.setPeers(peers.filter((member) => member.id !== nodeId));
    if (membership.members.length > 0) this.#known.update(membership.members);
  }

  #knownPeers(): readonly PeerAddress[] {
    const { members } = this.#told.current;
    return members.length > 0 ? members : this.#parts.identity.peers;
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#cancelTick = this.#parts.clock.after(this.#parts.tickMs, () => this.#tick());
    this.#parts.reserve.sweep();
    this.#driver.tick();
    this.#relief.sweep();
    if (this.#driver.leader !== 0) this.#contact.ask();
    this.#members.sweep();
    this.#introductions.sweep();
    this.#told.sweep();
    this.#forks.sweep(this.#driver.leader);
    this.#standing.sweep(this.#driver.leader);
    this.#storage.sweep();
    this.#pool.sweep();
  }

  #atLeader<M extends PeerMethod>(
    method: M,
    request: PeerMethods[M]["request"],
    deadlineMs: Milliseconds,
  ): Promise<PeerMethods[M]["answer"]> {
    this.#sweeper.watch();
    return this.#calls.atLeader(method, request, deadlineMs);
  }

  #confirmIndex(deadlineMs: Milliseconds): Promise<LogIndex> {
    this.#sweeper.watch();
    return this.#gate.confirm(deadlineMs);
  }

  async #confirm(): Promise<void> {
    this.#sweeper.watch();
    await this.#reads.reach("linearizable", undefined, undefined, this.#deadline(CONFIRM_MS_MAX));
  }

  #deadline(timeoutMs: Milliseconds): Milliseconds {
    return this.#parts.clock.nowMs() + timeoutMs;
  }

  #leaderAgeMs(): Milliseconds {
    return this.#driver.role === "leader" ? 0 : this.#contact.ageMs;
  }

  #leaderHttpAddress(): string | undefined {
    const { members } = this.#told.current;
    return members.find((member) => member.id === this.#driver.leader)?.httpAddress;
  }

  #fail(error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#stopped = true;
    this.#vacancy.stop();
    this.#cancelTick();
    this.#sweeper.stop();
    void this.#driver.stop();
    this.#parts.onFatal(error);
  }
}
