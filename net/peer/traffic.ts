import type { PeerTraffic } from "../../core/base/ports.ts";

/** Counts for all connections of a transport together: those that are lost keep what they had. */
export class Traffic implements PeerTraffic {
  sentBytes = 0;
  receivedBytes = 0;
}
