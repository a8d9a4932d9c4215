import { createHash, timingSafeEqual } from "node:crypto";
import { NodeError } from "../../core/base/errors.ts";

const SCHEME = /^bearer +(\S+)$/i;

/** Checks the bearer token of requests. Keeps only its hash. */
export class TokenCheck {
  readonly #expected: Uint8Array;

  constructor(token: string) {
    this.#expected = sha256(token);
  }

  /** Throws NodeError unauthorized. Neither token appears in the message. */
  require(authorization: string | undefined): void {
    if (authorization === undefined) {
      throw new NodeError(
        "unauthorized",
        "Cannot serve the request without a token: send the header authorization: Bearer TOKEN",
      );
    }
    const token = SCHEME.exec(authorization)?.[1];
    if (token === undefined) {
      throw new NodeError("unauthorized", "Cannot read the authorization header: it must be Bearer TOKEN");
    }
    // Hashes have equal length and say nothing about how much of a wrong token was right.
    if (!timingSafeEqual(sha256(token), this.#expected)) {
      throw new NodeError("unauthorized", "Cannot serve the request: the token is wrong");
    }
  }
}

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** Host and port of `HOST:PORT` or `[HOST]:PORT`. Throws Error with a sentence for people. */
export function splitAddress(address: string): { readonly hostname: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(address);
  const hostname = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (hostname === "" || !(port <= 65_535)) {
    throw new Error(`Cannot use ${address} as an address: write HOST:PORT`);
  }
  return { hostname, port };
}

/** Whether a name or address reaches only this machine. Names other than `localhost` may resolve to anything. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/^\[|\]$/g, "").replace(/^::ffff:/, "");
  if (name === "localhost" || name === "::1") return true;
  return /^127(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}$/.test(name);
}

/**
 * Refuses to listen where others can connect without a secret.
 *
 * @param address `HOST:PORT` to listen on
 * @param secret what connections must present; undefined or empty when none is configured
 * @param flagName the command-line flag that sets the secret, such as `--token`
 */
export function checkExposure(address: string, secret: string | undefined, flagName: string): void {
  if (secret !== undefined && secret !== "") return;
  if (isLoopback(splitAddress(address).hostname)) return;
  throw new Error(
    `Cannot listen on ${address} without ${flagName}: whoever reaches this address could read and change all data; ` +
      `set ${flagName}, or listen on 127.0.0.1`,
  );
}
