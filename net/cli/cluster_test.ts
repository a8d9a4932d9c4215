import assert from "node:assert/strict";
import { type CapturedContext, capturedContext } from "../../tests/support/captured_context.ts";
import { freePorts } from "../../tests/support/free_ports.ts";
import type { ClusterOptions } from "./arguments.ts";
import { DevelopmentCluster, runCluster } from "./cluster.ts";
import { nodeEnvironment, type PlannedNode, planNodes, planStart } from "./cluster_plan.ts";
import type { NodeTuning } from "./serve_options.ts";

const TUNING: NodeTuning = {
  token: undefined,
  clusterSecret: undefined,
  createDatabases: true,
  electionTimeoutMs: 1_000,
  heartbeatMs: 100,
  leaseMs: 0,
  readers: undefined,
  retainMs: 0,
  logBytesMax: 1024 * 1024 * 1024,
  checkpointBytes: undefined,
  checkpointAgeMs: 300_000,
  cacheBytes: 8 * 1024 * 1024,
  engine: undefined,
  logLevel: "info",
  logFormat: "text",
};

function options(fields: Partial<ClusterOptions> = {}): ClusterOptions {
  return {
    dataDirectory: "d",
    nodes: 3,
    httpPort: 4_001,
    raftPort: 7_001,
    wirePort: undefined,
    restart: false,
    tuning: TUNING,
    ...fields,
  };
}

/** Each stage as `name arguments`. */
function stages(nodes: readonly PlannedNode[], withData: readonly string[]): string[][] {
  return planStart(nodes, (node) => withData.includes(node.name))
    .map((stage) => stage.map(({ node, startArgs }) => [node.name, ...startArgs].join(" ")));
}

Deno.test("planNodes() counts ports from the first and passes on every setting but secrets", () => {
  const nodes = planNodes(
    options({
      tuning: { ...TUNING, token: "hidden", readers: 2, createDatabases: false, retainMs: 5_400_000 },
    }),
  );
  assert.deepEqual(nodes.map((node) => [node.name, node.url, node.raftAddress, node.dataDirectory]), [
    ["node-1", "http://127.0.0.1:4001", "127.0.0.1:7001", "d/node-1"],
    ["node-2", "http://127.0.0.1:4002", "127.0.0.1:7002", "d/node-2"],
    ["node-3", "http://127.0.0.1:4003", "127.0.0.1:7003", "d/node-3"],
  ]);
  const args = nodes[0]?.serveArgs.join(" ") ?? "";
  assert.match(
    args,
    /^serve --data d\/node-1 --http 127\.0\.0\.1:4001 --raft 127\.0\.0\.1:7001 --exit-with-parent true /,
  );
  assert.match(args, /--create-databases false .*--readers 2/);
  assert.match(args, /--retain 90m --log-bytes 1GiB --checkpoint-age 5m/);
  assert.doesNotMatch(args, /hidden|checkpoint-bytes|wire|engine/);
});

Deno.test("planNodes() lets each node speak the dqlite protocol on a port of its own", () => {
  const nodes = planNodes(options({ wirePort: 9_001, tuning: { ...TUNING, engine: "wa-sqlite" } }));
  assert.deepEqual(
    nodes.map(({ serveArgs }) => /--wire (\S+) .*--engine (\S+)/.exec(serveArgs.join(" "))?.slice(1)),
    ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"].map((address) => [address, "wa-sqlite"]),
  );
});

Deno.test("nodeEnvironment() hands over secrets and keeps settings of this command away from nodes", () => {
  const environment = {
    PATH: "/bin",
    WALRAFT_JOIN: "x:1",
    WALRAFT_DATA: "d",
    WALRAFT_SELF_COMMAND: "[]",
    GONE: undefined,
  };
  assert.deepEqual(nodeEnvironment(environment, { ...TUNING, token: "t", clusterSecret: "s" }), {
    PATH: "/bin",
    WALRAFT_SELF_COMMAND: "[]",
    WALRAFT_TOKEN: "t",
    WALRAFT_CLUSTER_SECRET: "s",
  });
});

Deno.test("planStart() founds once, continues together, and lets the rest join one by one", () => {
  const nodes = planNodes(options());
  assert.deepEqual(stages(nodes, []), [
    ["node-1 --bootstrap true"],
    ["node-2 --join 127.0.0.1:7001"],
    ["node-3 --join 127.0.0.1:7001 127.0.0.1:7002"],
  ]);
  assert.deepEqual(stages(nodes, ["node-1", "node-2", "node-3"]), [["node-1", "node-2", "node-3"]]);
  assert.deepEqual(stages(nodes, ["node-1", "node-3"]), [["node-1", "node-3"], [
    "node-2 --join 127.0.0.1:7001 127.0.0.1:7003",
  ]]);
  assert.deepEqual(
    stages(nodes, ["node-2"]),
    [["node-2"], ["node-1 --join 127.0.0.1:7002"], ["node-3 --join 127.0.0.1:7002 127.0.0.1:7001"]],
    "a lost first node never founds a second cluster",
  );
});

interface Running {
  readonly context: CapturedContext;
  readonly dataDirectory: string;
  readonly httpPort: number;
  readonly ended: Promise<number>;
}

/** Runs the command with real processes: the program they run is `tests/support/fake_node.ts`. */
async function withCluster(
  fields: Partial<ClusterOptions> & { readonly environment?: Record<string, string> },
  run: (running: Running) => Promise<void>,
): Promise<void> {
  const { environment = {}, ...given } = fields;
  const dataDirectory = given.dataDirectory ?? await Deno.makeTempDir();
  const nodes = given.nodes ?? 2;
  const httpPort = freePorts(nodes);
  const context = fakeContext(nodes, httpPort, environment);
  const ended = runCluster(
    options({ nodes, httpPort, raftPort: httpPort + 1_000, ...given, dataDirectory }),
    context,
  );
  try {
    await run({ context, dataDirectory, httpPort, ended });
  } finally {
    context.interrupt();
    await ended.catch(() => {});
    if (given.dataDirectory === undefined) await Deno.remove(dataDirectory, { recursive: true });
  }
}

function fakeContext(nodes: number, httpPort: number, environment: Record<string, string>): CapturedContext {
  return capturedContext({
    environment: {
      ...Deno.env.toObject(),
      FAKE_HTTP_PORTS: Array.from({ length: nodes }, (_, i) => httpPort + i).join(","),
      ...environment,
    },
    selfCommand: [
      Deno.execPath(),
      "run",
      "-A",
      new URL("../../tests/support/fake_node.ts", import.meta.url).pathname,
    ],
  });
}

function pidOf(context: CapturedContext, name: string): number {
  return Number(new RegExp(`${name} pid (\\d+)`).exec(context.output.out)?.[1]);
}

Deno.test("cluster starts nodes, says ready, stops them, and continues on the same folder", async () => {
  const tuning = { ...TUNING, token: "secret-token" };
  await withCluster({ tuning }, async ({ context, dataDirectory, httpPort, ended }) => {
    await context.output.printed(/^ready /m);
    const [one, two] = [httpPort, httpPort + 1].map((port) => `http://127.0.0.1:${port}`);
    assert.match(context.output.out, new RegExp(`^ready ${one} ${two}\\n$`, "m"));
    assert.match(context.output.err, /^node-1 \| started bootstrap token secret-token$/m);
    assert.match(
      context.output.err,
      new RegExp(`^node-2 \\| started join 127\\.0\\.0\\.1:${httpPort + 1_000} `, "m"),
    );
    context.interrupt();
    assert.equal(await ended, 0);
    assert.match(context.output.err, /^node-1 \| stopped by SIGTERM$/m);
    assert.match(context.output.err, /^node-2 \| stopped by SIGTERM$/m);

    await withCluster({ dataDirectory }, async (again) => {
      await again.context.output.printed(/^ready /m);
      assert.equal(again.context.output.err.match(/started automatic token none/g)?.length, 2);
    });
  });
});

Deno.test("cluster reports a node that dies, and starts it again only when told to", async () => {
  await withCluster({}, async ({ context }) => {
    await context.output.printed(/^ready /m);
    Deno.kill(pidOf(context, "node-2"), "SIGKILL");
    await context.output.printed(/^node-2 \(pid \d+\) ended with SIGKILL; it is not started again/m);
  });
  await withCluster({ nodes: 1, restart: true }, async ({ context }) => {
    await context.output.printed(/^ready /m);
    const pid = pidOf(context, "node-1");
    Deno.kill(pid, "SIGKILL");
    const [, again] = await context.output.printed(new RegExp(`pid ${pid} [\\s\\S]*node-1 pid (\\d+)`));
    assert.notEqual(Number(again), pid);
    await context.output.printed(/started automatic/);
  });
});

Deno.test("cluster fails when a node cannot start, and leaves none behind", async () => {
  await withCluster({ environment: { FAKE_BROKEN: "2" } }, async ({ context, ended }) => {
    await assert.rejects(ended, /node-2 \(pid \d+\) ended with code 1 while the cluster was starting/);
    assert.match(context.output.err, /^node-2 \| Cannot open the disk$/m);
    assert.match(context.output.err, /^node-1 \| stopped by SIGTERM$/m);
    assert.throws(() => Deno.kill(pidOf(context, "node-1"), "SIGCONT"), Deno.errors.NotFound);
  });
});

Deno.test("cluster can be stopped while it starts", async () => {
  await withCluster({ environment: { FAKE_HTTP_PORTS: "1" } }, async ({ context, ended }) => {
    await context.output.printed(/started bootstrap/);
    context.interrupt();
    assert.equal(await ended, 0);
    assert.doesNotMatch(context.output.out, /^ready/m);
  });
});

Deno.test("DevelopmentCluster kills a node and starts it again without a report", async () => {
  const dataDirectory = await Deno.makeTempDir();
  const httpPort = freePorts(2);
  const context = fakeContext(2, httpPort, {});
  const cluster = new DevelopmentCluster(
    options({ nodes: 2, httpPort, raftPort: httpPort + 1_000, dataDirectory }),
    context,
  );
  try {
    await cluster.start();
    const name = cluster.nameOf(`127.0.0.1:${httpPort + 1}`);
    assert.equal(name, "node-2");
    await assert.rejects(cluster.startAgain(name), /it is running/);
    await cluster.kill(name);
    await assert.rejects(cluster.kill(name), /it is not running/);
    await cluster.startAgain(name);
    assert.match(context.output.err, /^node-2 \| started automatic/m);
    assert.doesNotMatch(context.output.err, /ended/);
    assert.throws(() => cluster.nameOf("127.0.0.1:1"), /no node 127\.0\.0\.1:1/);
  } finally {
    await cluster.stop();
    await Deno.remove(dataDirectory, { recursive: true });
  }
});
