import { NodeError } from "../../core/base/errors.ts";

export interface SocketAddress {
  readonly hostname: string;
  readonly port: number;
}

const PORT_MAX = 65_535;

/**
 * `HOST:PORT`, an IPv6 address in brackets: `[::1]:4001`.
 *
 * @throws NodeError bad_request
 */
export function parseAddress(address: string): SocketAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(address);
  const hostname = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (hostname === undefined || port > PORT_MAX) {
    throw new NodeError("bad_request", `Cannot use peer address ${address}: it must be HOST:PORT`);
  }
  return { hostname, port };
}
