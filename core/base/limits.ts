import { assert } from "./assert.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Every bound of the system with its reason. What an operator may change is an option whose default stands here;
 * the rest is fixed.
 */
export const LIMITS = {
  /** HTTP bodies other than database uploads. A batch of 100,000 short statements fits. */
  requestBodyBytesMax: 16 * MIB,
  /** Nesting of JSON and msgpack bodies: the deepest legal request has 5 levels. */
  requestDepthMax: 16,
  /** Request line and headers. Browsers and proxies stay under 16 KiB. */
  requestHeadBytesMax: 32 * KIB,
  /** Time for request line and headers to arrive, and again for the body between two reads. */
  requestHeadMsMax: 10_000,
  requestBodyMsMax: 60_000,
  /** Bodies of all requests under way together; without it, each connection could hold a full body. */
  requestBodiesBytesMax: 256 * MIB,
  /** Answers that clients have not taken yet, together; beyond it new requests are refused. */
  responsesBytesMax: 512 * MIB,
  /** A client must take some bytes of its answer within this. */
  responseWriteMsMax: 30_000,
  /** An uploaded database file. It is streamed, never held; this only stops an endless sender. */
  databaseUploadBytesMax: 1024 * 1024 * MIB,
  /** A connection without a request is closed after this. */
  connectionIdleMsMax: 75_000,
  /** HTTP connections of one node; each costs about 40 KiB when idle. */
  connectionCountMax: 4_096,

  /** Text of one statement: SQLite's own limit is 1,000,000 bytes by default; generated scripts need a bit more. */
  statementBytesMax: 4 * MIB,
  statementsPerBatchMax: 100_000,
  parametersPerStatementMax: 32_766,
  resultRowsMax: 1_000_000,
  /** Encoded bytes of one answer. Larger results are for `backup`, or for several queries. */
  resultBytesMax: 64 * MIB,
  statementMsMax: 30_000,
  /** Longest a caller may ask a query to run or wait. */
  requestMsMax: 600_000,
  requestMsDefault: 30_000,

  /** Pages one transaction may change, in bytes. It is held in memory once on the leader. */
  transactionBytesMax: 256 * MIB,
  /** Body of one log entry. A larger transaction spans several entries. Bounds the time a heartbeat may wait. */
  entryBytesMax: 4 * MIB,
  /** A transaction over several requests keeps all other writers of its database waiting: so long between two statements. */
  transactionIdleMsMax: 10_000,
  /** And so long from its beginning to its commit: twice the longest statement. */
  transactionMsMax: 60_000,
  /** Writes in one batch of group commit. */
  writesPerBatchMax: 512,
  /** Writes that may wait per database; at 10,000 writes/s this is under half a second. */
  writeQueueLengthMax: 4_096,
  writeQueueBytesMax: 64 * MIB,
  /** Queries that may wait for a reader worker. */
  readQueueLengthMax: 8_192,

  /** Leader: bytes appended but not committed. Without a quorum the log must not grow (etcd: MaxUncommittedEntriesSize). */
  uncommittedBytesMax: 512 * MIB,
  /** Entries of one append message, in bytes; one entry is always sent. */
  appendBytesMax: 1 * MIB,
  /** Append messages under way to one follower. */
  appendsInFlightMax: 64,
  appendBytesInFlightMax: 16 * MIB,
  /** A frame on a peer connection: the largest entry and its headers. */
  peerFrameBytesMax: 24 * MIB,
  /** Bytes that may wait for one peer; beyond that messages are dropped and Raft sends again. */
  peerQueueBytesMax: 64 * MIB,
  /** Peer calls (forwarded writes and administration) under way to one peer. */
  peerCallsMax: 8_192,

  /** A promise to a leader that holds a lease: so long a member neither votes nor campaigns after a start. */
  leaseMsMax: 500,

  segmentBytesMax: 64 * MIB,
  /** Given up when the disk is full: room for what is under way, votes and membership while writes are refused. */
  diskReserveBytes: 16 * MIB,
  /** Segments the largest log is cut into at least: what is removed at once is a small part of it. */
  logSegmentsMin: 16,
  /** Pages of a snapshot in one answer: a millisecond of reading and comparing on the leader's main thread. */
  snapshotChunkBytesMax: 256 * KIB,
  /** Members that are sent a snapshot at once; each holds views of all databases. */
  snapshotSessionsMax: 4,
  /** Damaged places that are being repaired or wait for it. */
  repairsKnownMax: 1_024,
  /** Explicit checkpoints that may wait on one node; each is for one file. */
  checkpointsWaitingMax: 64,
  /** Moments remembered for reads at a time: one each 1.3 s for a window of a day, 16 bytes each. */
  historyTimesMax: 65_536,
  /** Zeros written ahead of the log's end: some 60 syncs of 16 KiB; larger makes the sync that carries them slower. */
  logFillAheadBytes: 1 * MIB,
  /** Newest entries kept in memory: what may be in flight to a follower, which all of them read. Older ones are on disk. */
  logCacheBytesMax: 16 * MIB,
  /** Segment files one thread keeps open for reading: 1 GiB of log without opening a file. */
  logFilesOpenMax: 16,

  /** Memory SQLite may allocate in one instance. A sort beyond it goes to temporary files or fails. */
  engineHeapBytesMax: 512 * MIB,
  /** Temporary files of one instance: sorts, statement journals, the copy VACUUM makes. They lie in memory. */
  temporaryBytesMax: 512 * MIB,
  /** One text or blob inside SQLite; what is larger could not be returned anyway. */
  valueBytesMax: 64 * MIB,
  /** The writer's WAL is moved out of the way when it is larger, between two batches. About 2,000 pages. */
  walBytesMax: 8 * MIB,
  /** SQLite's own default. The pinned build does not check it, and loses its stack at about 3,500. */
  expressionDepthMax: 1_000,
  /** SQLite's parser: nested parentheses, subqueries, function calls. */
  parserDepthMax: 1_000,
  /** Each wildcard that matches costs a level of recursion. */
  likePatternBytesMax: 10_000,
  /** Instructions of one compiled statement, 24 bytes each. */
  statementOperationsMax: 5_000_000,
  /** Compiled statements kept by one connection, and the longest text of one. */
  cachedStatementCountMax: 128,
  cachedStatementLengthMax: 16 * KIB,
  /** An answer that is stored under an idempotency key. */
  idempotencyAnswerBytesMax: 1 * MIB,
  idempotencyKeyLengthMax: 256,
  /** A key is remembered at least this long. */
  idempotencyKeyMsMin: 24 * 3_600_000,
  /** Every so many keyed writes of a session some old keys are removed: more than were added, so that their number falls. */
  idempotencyWritesPerRemoval: 16,
  idempotencyKeysPerRemoval: 128,

  /** Body of one frame of the dqlite protocol: the largest value and the longest statement, and 1 MiB for the rest. */
  dqliteFrameBytesMax: 69 * MIB,
  /** Pools of clients keep connections open for as long as they like; a transaction has limits of its own. */
  dqliteIdleMsMax: 3_600_000,
  /** Connections that speak the dqlite protocol; each costs about 20 KiB when idle. */
  dqliteConnectionCountMax: 4_096,
  /** Statements one connection may hold prepared, and the characters of their texts together. */
  dqliteStatementsMax: 4_096,
  dqliteStatementCharactersMax: 16 * MIB,

  databaseNameLengthMax: 64,
  databaseCountMax: 100_000,
} as const;

assert(
  LIMITS.entryBytesMax + 64 * KIB <= LIMITS.peerFrameBytesMax,
  "The largest entry must fit into a peer frame",
);
assert(
  LIMITS.requestBodyBytesMax + 64 * KIB <= LIMITS.peerFrameBytesMax,
  "The largest forwarded write must fit into a peer frame",
);
assert(LIMITS.peerFrameBytesMax <= LIMITS.peerQueueBytesMax, "One frame must fit into the queue of a peer");
assert(
  LIMITS.transactionBytesMax <= LIMITS.uncommittedBytesMax,
  "One transaction must be allowed to be uncommitted",
);

assert(
  LIMITS.idempotencyAnswerBytesMax < LIMITS.valueBytesMax,
  "A stored answer must be a value SQLite takes",
);

assert(
  LIMITS.idempotencyWritesPerRemoval < LIMITS.idempotencyKeysPerRemoval,
  "Old idempotency keys must go faster than new ones come",
);

/** Name of a database: also a file name, so nothing that a file system or a URL treats specially. */
export const DATABASE_NAME_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
