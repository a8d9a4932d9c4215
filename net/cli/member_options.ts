/** Options of `member`, and those of `serve` that say what a node is in its cluster. */
import type { ConnectionOptions } from "./arguments.ts";
import type { OptionReader } from "./option_reader.ts";
import { UsageError } from "./usage_error.ts";

export type RoleName = "voter" | "stand_by" | "spare";

/** What is undefined stays as it is. */
export interface MemberTraitsOptions {
  readonly role: RoleName | undefined;
  readonly weight: number | undefined;
  readonly failureDomain: number | undefined;
}

export interface MemberOptions extends ConnectionOptions, MemberTraitsOptions {
  readonly memberId: number;
  readonly remove: boolean;
}

export function readMemberTraits(reader: OptionReader): MemberTraitsOptions {
  return {
    role: reader.maybeText("role") as RoleName | undefined,
    weight: reader.maybeInteger("weight"),
    failureDomain: reader.maybeInteger("failure-domain"),
  };
}

export function readMemberOptions(
  id: string,
  reader: OptionReader,
): Omit<MemberOptions, keyof ConnectionOptions> {
  if (!/^[1-9][0-9]{0,14}$/.test(id)) {
    throw new UsageError(
      `Cannot change member "${id}": a member is named by its number, as "status" shows it`,
    );
  }
  const traits = readMemberTraits(reader);
  const remove = reader.boolean("remove");
  const isChange = Object.values(traits).some((value) => value !== undefined);
  if (remove && isChange) {
    throw new UsageError(
      "Cannot use --remove with --role, --weight or --failure-domain: the member is gone then",
    );
  }
  if (!remove && !isChange) {
    throw new UsageError(
      `Nothing to do for member ${id}: give --role, --weight, --failure-domain or --remove`,
    );
  }
  return { memberId: Number(id), remove, ...traits };
}
