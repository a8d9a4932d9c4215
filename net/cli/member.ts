import type { CommandContext } from "./command_context.ts";
import type { MemberOptions } from "./member_options.ts";
import { openClient } from "./status.ts";
import { EXIT } from "./usage_error.ts";

/** Changes or removes one member. */
export async function runMember(options: MemberOptions, context: CommandContext): Promise<number> {
  const { memberId, remove, role, weight, failureDomain } = options;
  const { signal, output } = context;
  const client = openClient(options);
  if (remove) {
    await client.removeMember(memberId, { signal });
    output.stdout(`removed member ${memberId}\n`);
    return EXIT.ok;
  }
  const change = {
    ...(role === undefined ? {} : { role }),
    ...(weight === undefined ? {} : { weight }),
    ...(failureDomain === undefined ? {} : { failureDomain }),
  };
  await client.changeMember(memberId, change, { signal });
  const names = { role, weight, "failure domain": failureDomain };
  const done = Object.entries(names).filter(([, value]) => value !== undefined).map(([name, value]) =>
    `${name} ${value}`
  );
  output.stdout(`member ${memberId}: ${done.join(", ")}\n`);
  return EXIT.ok;
}
