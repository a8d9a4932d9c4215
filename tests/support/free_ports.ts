/** The first of `count` neighbouring ports on loopback that were free a moment ago. */
export function freePorts(count: number): number {
  for (let attempt = 0; attempt < 100; attempt++) {
    const listeners: Deno.Listener[] = [];
    try {
      const first = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      listeners.push(first);
      const { port } = first.addr as Deno.NetAddr;
      for (let i = 1; i < count; i++) listeners.push(Deno.listen({ hostname: "127.0.0.1", port: port + i }));
      return port;
    } catch {
      // The next one is taken: try elsewhere.
    } finally {
      for (const listener of listeners) listener.close();
    }
  }
  throw new Error(`There are no ${count} free ports in a row`);
}
