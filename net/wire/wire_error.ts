/** Bytes of a peer that are not of the protocol. The connection they came on must be closed: nothing after them can be trusted. */
export class WireError extends Error {
  override name = "WireError";
}
