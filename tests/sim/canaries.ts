/**
 * Bugs planted on purpose, one at a time, into a copy of the sources: a simulator that does not find them proves nothing.
 * Each is a change of text; when the sources change so that the text is gone, planting fails loudly.
 */
export interface Canary {
  readonly name: string;
  /** Where the test begins to search, so that it is quick; 1 where it is left out. Any other finds it, too. */
  readonly firstSeed?: number;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
}

export const CANARIES: readonly Canary[] = [
  {
    name: "a vote is not synced",
    firstSeed: 57,
    edits: [{
      file: "core/node/driver.ts",
      find: "if (hardState !== undefined) await this.#save(hardState);",
      replace: "void hardState;",
    }],
  },
  {
    name: "entries are acknowledged before they are synced",
    edits: [{
      file: "core/log/log.ts",
      find: "const syncs = files.map((file) => file.sync());",
      replace: "const syncs: Promise<void>[] = []; void files;",
    }],
  },
  {
    name: "an entry of an older term is committed by counting",
    edits: [{
      file: "core/raft/leader.ts",
      find: "index > log.lastIndex || log.termAt(index) !== state.term) return;",
      replace: "index > log.lastIndex) return;",
    }],
  },
  {
    name: "the leader answers reads without asking whether it still leads",
    edits: [{
      file: "core/raft/leader.ts",
      find: "    reads.begin(commitIndex);\n",
      replace: "    reads.begin(commitIndex);\n" +
        "    reads.confirmed(reads.newest, (read, index) => this.#answer(read, index, false));\n",
    }],
  },
  {
    name: "a follower breaks its promise when the connection to its leader closes",
    firstSeed: 31,
    edits: [{
      file: "core/raft/raft.ts",
      find: "if (this.#state.leading === undefined) this.#state.setLeader(0);",
      replace: "this.#state.promise.release(this.#state.leaderId);\n" +
        "    if (this.#state.leading === undefined) this.#state.setLeader(0);",
    }],
  },
  {
    name: "short reads on the main thread do not hear of new pages",
    edits: [{
      file: "core/sql/short_reads.ts",
      find: "if (!cursors.isCurrent(database)) this.#readers?.update(cursors.advance(database));",
      replace: "if (cursors.size === 0) this.#readers?.update(cursors.advance(database));",
    }],
  },
  {
    name: "a query that is answered at once shows a state that nobody has confirmed",
    firstSeed: 37,
    edits: [{
      file: "core/node/read_path.ts",
      find: "return (gate.confirmed ?? Infinity) <= store.publishedIndex;",
      replace: "return gate.confirmed !== undefined || store.publishedIndex > 0;",
    }],
  },
  {
    name: "what the main thread has written is written again by the worker",
    edits: [
      {
        file: "core/sql/short_writes.ts",
        find: "const first = requests[finished];",
        replace: "const first = requests[Math.max(0, finished - 1)];",
      },
      {
        file: "core/sql/short_writes.ts",
        find: "const unfinished = [...requests.keys()].slice(results.length);",
        replace: "const unfinished = [...requests.keys()].slice(Math.max(0, results.length - 1));",
      },
    ],
  },
  {
    name: "a checkpoint goes past an open view",
    edits: [
      {
        file: "core/node/checkpoints.ts",
        find: "      return database.oldestNeeded;",
        replace: "      return database.published;",
      },
      {
        file: "core/node/checkpoints.ts",
        find: "const expired = database.expireBefore(index);",
        replace: "const expired = 0 * index;",
      },
    ],
  },
  {
    name: "a snapshot claims entries that its pages do not hold",
    edits: [{
      file: "core/node/snapshot_source.ts",
      find: "const index = store.publishedIndex;",
      replace: "const index = log.lastIndex();",
    }],
  },
  {
    name: "a snapshot drops the entries behind it",
    firstSeed: 159,
    edits: [
      {
        // No bug by itself: a member gets a snapshot now and then although it has everything.
        file: "core/raft/replication.ts",
        find: "if (follower.next - 1 < state.log.firstIndex - 1) return",
        replace: 'const isAsked = state.tickCount % 20 === 0 && follower.state === "replicate";\n' +
          "  if (follower.next - 1 < state.log.firstIndex - 1 || isAsked) return",
      },
      {
        file: "core/raft/follower.ts",
        find: "if (state.log.termAt(snapshot.index) === snapshot.term) {",
        replace: "if (state.log.termAt(snapshot.index) === -1) {",
      },
      {
        file: "core/node/snapshot_install.ts",
        find: "store.publishedIndex >= index || log.termAt(index) === term;",
        replace: "store.publishedIndex >= index && log.termAt(index) === -term;",
      },
    ],
  },
  {
    name: "a torn tail is kept",
    firstSeed: 84,
    edits: [{
      file: "core/log/segment_scanner.ts",
      find: "body.length === header.bodyLength && crc32(body) === header.bodyCrc",
      replace: "body.length === header.bodyLength && crc32(body) >= 0",
    }],
  },
  {
    name: "an idempotency key is not in the entry of its write",
    edits: [{
      file: "core/sql/write_runner.ts",
      find: "if (!this.#isReadOnly) this.#keys.add(key, hash, answer);",
      replace: "void key; void hash;",
    }],
  },
  {
    name: "the log is cut although an open view still reads it",
    edits: [{
      file: "core/pages/database.ts",
      find: "for (const { holdsFrom } of views) needed = Math.min(needed, holdsFrom);",
      replace: "void views;",
    }],
  },
  {
    name: "the log is cut before the pages in it are in the .db files",
    edits: [{
      file: "core/node/retention.ts",
      find: "if (next.startPosition > oldest || next.firstIndex > neededFrom) break;",
      replace: "void oldest; void neededFrom;",
    }],
  },
  {
    name: "what is not committed is published",
    edits: [{
      file: "core/node/driver.ts",
      find: "      store.publish(output.commitIndex);\n",
      replace: "      store.publish(this.#options.log.lastIndex());\n",
    }],
  },
  {
    name: "the commit of a transaction over several requests is answered at once",
    firstSeed: 32,
    edits: [{
      file: "core/node/open_transaction.ts",
      find: "return { index: await this.#site.committed(this.#entered, deadlineMs) };",
      replace: "return { index: this.#entered.index + 0 * deadlineMs };",
    }],
  },
];
