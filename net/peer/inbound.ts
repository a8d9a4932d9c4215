import type { NodeId } from "../../core/base/ids.ts";
import type { Frame } from "../wire/frame.ts";
import type { Opening } from "../wire/handshake.ts";
import { decodeMessage } from "../wire/message_codec.ts";
import { WireError } from "../wire/wire_error.ts";
import { CallServer } from "./call_server.ts";
import { type CloseReason, Connection } from "./connection.ts";
import type { TransportContext } from "./context.ts";
import { SendQueue } from "./send_queue.ts";
import { closeSocket } from "./socket.ts";

/** The opened connections that others dialled: at most one per member and channel, and a few of joining processes. */
export class Inbound {
  readonly #context: TransportContext;
  /** By channel and node id. */
  readonly #members = new Map<string, Connection>();
  readonly #joining = new Set<Connection>();
  readonly #onSignOfLife: (peer: NodeId) => void;

  /** @param onSignOfLife a peer has opened its Raft connection to us */
  constructor(context: TransportContext, onSignOfLife: (peer: NodeId) => void) {
    this.#context = context;
    this.#onSignOfLife = onSignOfLife;
  }

  get count(): number {
    return this.#members.size + this.#joining.size;
  }

  /** Takes over an opened socket. A second connection of the same member and channel replaces the first, which is dead. */
  add(socket: Deno.TcpConn, { version, channel, peer }: Opening): void {
    const { events } = this.#context;
    if (channel === "join") {
      this.#addJoining(socket);
      return;
    }
    const key = keyOf(channel, peer.nodeId);
    const replaced = this.#members.get(key);
    this.#members.delete(key);
    replaced?.close();
    events.event("peer_accepted", { peer: peer.nodeId, channel, replaced: replaced !== undefined });
    const onClosed = (reason: CloseReason) =>
      this.#onMemberClosed(key, connection, peer.nodeId, channel, reason);
    const connection = channel === "raft"
      ? this.#connection(socket, (frame) => this.#onMessageFrame(frame, peer.nodeId, version), onClosed)
      : this.#callConnection(socket, peer.nodeId, onClosed);
    this.#members.set(key, connection);
    if (channel === "raft") this.#onSignOfLife(peer.nodeId);
  }

  /** Ends the connections of a member that was removed. */
  remove(peer: NodeId): void {
    for (const channel of ["raft", "call"]) this.#members.get(keyOf(channel, peer))?.close();
  }

  close(): void {
    for (const connection of [...this.#members.values(), ...this.#joining]) connection.close();
  }

  #addJoining(socket: Deno.TcpConn): void {
    if (this.#joining.size >= this.#context.bounds.joinConnectionsMax) {
      closeSocket(socket);
      return;
    }
    const connection = this.#callConnection(socket, 0, () => this.#joining.delete(connection));
    this.#joining.add(connection);
  }

  #callConnection(socket: Deno.TcpConn, peer: NodeId, onClosed: (reason: CloseReason) => void): Connection {
    const { handler, bounds } = this.#context;
    const server = new CallServer({
      serve: (method, body) => handler.onCall(peer, method, body),
      send: (frame) => connection.send(frame, "bulk"),
      onOverflow: () => connection.close(),
      callsMax: bounds.callsMax,
      servedBytesMax: bounds.servedBytesMax,
    });
    const connection = this.#connection(socket, (frame) => server.onFrame(frame), onClosed);
    return connection;
  }

  #connection(
    socket: Deno.TcpConn,
    onFrame: (frame: Frame) => void,
    onClosed: (reason: CloseReason) => void,
  ): Connection {
    const { clock, timing, bounds, traffic } = this.#context;
    const queue = new SendQueue(bounds.queueBytesMax, bounds.queueReserveBytes);
    return new Connection({ socket, isDialler: false, queue, clock, timing, traffic, onFrame, onClosed });
  }

  #onMessageFrame(frame: Frame, peer: NodeId, version: number): void {
    const message = decodeMessage(frame, version);
    const own = this.#context.identity.nodeId;
    if (message.from !== peer || message.to !== own) {
      throw new WireError(
        `Cannot accept a message from ${message.from} to ${message.to}: the connection is from ${peer} to ${own}`,
      );
    }
    this.#context.handler.onMessage(message);
  }

  #onMemberClosed(
    key: string,
    connection: Connection,
    peer: NodeId,
    channel: string,
    reason: CloseReason,
  ): void {
    if (this.#members.get(key) !== connection) return;
    this.#members.delete(key);
    if (reason.kind === "closed") return;
    const { events, handler } = this.#context;
    events.event("peer_accepted_lost", { peer, channel, kind: reason.kind, text: reason.text });
    if (channel === "raft" && reason.kind === "ended") handler.onDisconnected(peer);
  }
}

function keyOf(channel: string, peer: NodeId): string {
  return `${channel} ${peer}`;
}
