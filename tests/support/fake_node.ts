/**
 * A program that answers as a node of a development cluster does, for tests of the command that starts such programs.
 * It understands the arguments of `serve` through the real parser, writes `node.json` as nodes do, and prints how it
 * was started. Members are all nodes whose ports the environment variable FAKE_HTTP_PORTS lists.
 */
import { parseCommandLine } from "../../net/cli/arguments.ts";

const parsed = parseCommandLine(Deno.args, Deno.env.toObject(), (path) => Deno.readTextFileSync(path), "0");
if (parsed.command !== "serve") throw new Error(`Cannot run ${parsed.command}`);
const { dataDirectory, http, start, exitWithParent, token } = parsed.options;
const ports = (Deno.env.get("FAKE_HTTP_PORTS") ?? String(http.port)).split(",").map(Number);
const position = ports.indexOf(http.port) + 1;
if (Deno.env.get("FAKE_BROKEN") === String(position)) {
  console.error("Cannot open the disk");
  Deno.exit(1);
}

Deno.mkdirSync(dataDirectory, { recursive: true });
Deno.writeTextFileSync(`${dataDirectory}/node.json`, "{}");
const how = start.kind === "join" ? `join ${start.addresses.join(" ")}` : start.kind;
console.log(`started ${how} token ${token ?? "none"}`);

const server = Deno.serve({ hostname: http.host, port: http.port, onListen: () => {} }, (request) => {
  if (new URL(request.url).pathname !== "/v1/cluster") return new Response("ready\n");
  const members = ports.map((port, i) => ({
    id: i + 1,
    role: i === 0 ? "leader" : "voter",
    http_address: `127.0.0.1:${port}`,
    raft_address: `127.0.0.1:${port + 1_000}`,
  }));
  return Response.json({
    node_id: position,
    leader_id: 1,
    leader_http_address: members[0]?.http_address,
    members,
  });
});

async function stop(reason: string): Promise<void> {
  console.log(`stopped by ${reason}`);
  await server.shutdown();
  Deno.exit(0);
}

if (Deno.env.get("FAKE_STUBBORN") === undefined) {
  Deno.addSignalListener("SIGTERM", () => void stop("SIGTERM"));
}
if (exitWithParent) {
  for await (const _ of Deno.stdin.readable) { /* only its end matters */ }
  await stop("the end of its parent");
}
