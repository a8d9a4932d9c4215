/** Below the range from which systems take the ports of outgoing connections: one of those could take a port again at once. */
const FIRST = 10_000;
const COUNT = 20_000;

/** The first of `count` neighbouring ports on loopback that were free a moment ago; drawn, since tests run side by side. */
export function freePorts(count: number): number {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [draw = 0] = crypto.getRandomValues(new Uint32Array(1));
    const port = FIRST + draw % COUNT;
    const listeners: Deno.Listener[] = [];
    try {
      for (let i = 0; i < count; i++) listeners.push(Deno.listen({ hostname: "127.0.0.1", port: port + i }));
      return port;
    } catch {
      // One of them is taken: try elsewhere.
    } finally {
      for (const listener of listeners) listener.close();
    }
  }
  throw new Error(`There are no ${count} free ports in a row`);
}
