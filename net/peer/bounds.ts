import { LIMITS } from "../../core/base/limits.ts";

const MIB = 1024 * 1024;

/** What others can make a node hold. Tests lower these; the defaults follow from LIMITS. */
export interface PeerBounds {
  /** Incoming connections whose opening is not finished. Each costs a few KiB and lasts `openMs` at most. */
  readonly unopenedConnectionsMax: number;
  /** All incoming connections. Two per member, and a cluster has tens of members at most. */
  readonly connectionsMax: number;
  /** Incoming connections on channel `join`: one short call each. */
  readonly joinConnectionsMax: number;
  /** Bytes that wait to be sent on one connection, those being written included. */
  readonly queueBytesMax: number;
  /** Part of them that appends and snapshots leave to small messages. */
  readonly queueReserveBytes: number;
  /** Calls under way, per peer on the calling side and per connection on the serving side. */
  readonly callsMax: number;
  /** Bodies of the calls served at the same time, per connection. */
  readonly servedBytesMax: number;
}

export const PEER_BOUNDS: PeerBounds = {
  unopenedConnectionsMax: 64,
  connectionsMax: 512,
  joinConnectionsMax: 16,
  queueBytesMax: LIMITS.peerQueueBytesMax,
  queueReserveBytes: 1 * MIB,
  callsMax: LIMITS.peerCallsMax,
  servedBytesMax: LIMITS.peerQueueBytesMax,
};
