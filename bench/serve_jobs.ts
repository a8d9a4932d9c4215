/** The other side of `JobProcess`: answers each line of the input with one on the output, until the input ends. */
export async function serveJobs<Job, Outcome>(run: (job: Job) => Promise<Outcome>): Promise<void> {
  const encoder = new TextEncoder();
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const job = JSON.parse(text.slice(0, end)) as Job;
      text = text.slice(end + 1);
      const line = encoder.encode(JSON.stringify(await run(job)) + "\n");
      for (let at = 0; at < line.length;) at += await Deno.stdout.write(line.subarray(at));
    }
  }
}
