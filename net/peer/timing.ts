import type { Milliseconds } from "../../core/base/ids.ts";

/** Time limits of peer connections. Tests shorten them; operators have no reason to. */
export interface PeerTiming {
  /** From the first byte of an outgoing connection to its opening, and the same on the listening side. */
  readonly openMs: Milliseconds;
  /** The dialler of a connection sends a ping this often; both sides look for silence this often. */
  readonly pingMs: Milliseconds;
  /**
   * Looks in a row without a received byte after which a connection is dead. Looks, not milliseconds: a pause of this
   * process counts as one, and is not held against the other side.
   */
  readonly silentLooksMax: number;
  /** Looks in a row during which one frame stays unfinished: a length that was damaged, or a peer that stalls us. */
  readonly unfinishedLooksMax: number;
  /** First and longest wait between attempts to connect. */
  readonly backoffMsMin: Milliseconds;
  readonly backoffMsMax: Milliseconds;
  /** A connection that lasted this long was sound: the next wait starts over at the shortest. */
  readonly stableMs: Milliseconds;
  /** `onUnreachable` is said at most this often per peer. */
  readonly unreachableMs: Milliseconds;
  /** How long a refused connection is kept open for its refusal to arrive. */
  readonly lingerMs: Milliseconds;
}

export const PEER_TIMING: PeerTiming = {
  openMs: 5_000,
  pingMs: 1_000,
  silentLooksMax: 5,
  unfinishedLooksMax: 60,
  backoffMsMin: 50,
  backoffMsMax: 2_000,
  stableMs: 5_000,
  unreachableMs: 100,
  lingerMs: 1_000,
};
