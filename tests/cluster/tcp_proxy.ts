/** A TCP proxy on loopback that a test can cut: what runs through it stands still and new connections are refused. */
export class TcpProxy {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #target: number;
  readonly #open = new Set<Deno.TcpConn>();
  #isCut = false;

  constructor(target: number) {
    this.#target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#accept();
  }

  /** Nobody reaches the target any more. */
  cut(): void {
    this.#isCut = true;
    for (const connection of this.#open) close(connection);
    this.#open.clear();
  }

  heal(): void {
    this.#isCut = false;
  }

  close(): void {
    this.cut();
    this.#listener.close();
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      if (this.#isCut) close(client);
      else this.#join(client).catch(() => close(client));
    }
  }

  async #join(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    this.#open.add(client).add(server);
    client.setNoDelay(true);
    server.setNoDelay(true);
    const pipe = async (from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> => {
      try {
        await from.readable.pipeTo(to.writable);
      } catch {
        // Either side went away; both are closed below.
      }
      close(from);
      close(to);
      this.#open.delete(from);
      this.#open.delete(to);
    };
    await Promise.all([pipe(client, server), pipe(server, client)]);
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
