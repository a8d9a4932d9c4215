import { NodeError } from "../../core/base/errors.ts";

/**
 * Listens at once.
 *
 * @param port 0 lets the system choose
 * @param option of the command line that names the address
 * @throws NodeError bad_request when the address is taken or not of this machine
 */
export function listen(hostname: string, port: number, option: string): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    throw new NodeError(
      "bad_request",
      `Cannot listen on ${hostname}:${port}: ${reasonOf(error)}; choose another address with ${option}`,
      { field: option },
      { cause: error },
    );
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "it is in use";
  if (error instanceof Deno.errors.AddrNotAvailable) return "this machine has no such address";
  if (error instanceof Deno.errors.PermissionDenied) return "this user may not";
  return error instanceof Error ? error.message : String(error);
}
