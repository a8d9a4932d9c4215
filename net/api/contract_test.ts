/** The hand-written types of the contract and the schemas agree: a difference does not compile. */
import type { Output } from "./validate.ts";
import type * as answers from "./answer_schemas.ts";
import type * as contract from "./contract.ts";
import type { ErrorBody } from "./error_body.ts";
import type * as requests from "./schemas.ts";
import type { z } from "zod";

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
/** Requests: schemas also take what only parsers and msgpack make, so types may only be narrower, never other keys. */
type Fits<Type, S extends z.ZodType> = [Type] extends [z.input<S>] ? Same<keyof Type, keyof z.input<S>>
  : false;

const checks: readonly [
  Fits<contract.StatementBody, typeof requests.StatementRequest>,
  Fits<contract.QueryBody, typeof requests.QueryRequestBody>,
  Fits<contract.ExecuteBody, typeof requests.ExecuteRequestBody>,
  Fits<contract.BatchBody, typeof requests.BatchRequestBody>,
  Fits<contract.CreateDatabaseBody, typeof requests.CreateDatabaseRequestBody>,
  Fits<contract.AddMemberBody, typeof requests.AddMemberRequestBody>,
  Fits<contract.ChangeMemberBody, typeof requests.ChangeMemberRequestBody>,
  Fits<contract.TransferBody, typeof requests.TransferRequestBody>,
  Same<contract.QueryAnswerBody, Output<typeof answers.QueryAnswer>>,
  Same<contract.StatementResultBody, Output<typeof answers.StatementResult>>,
  Same<contract.ExecuteAnswerBody, Output<typeof answers.ExecuteAnswer>>,
  Same<contract.BatchAnswerBody, Output<typeof answers.BatchAnswer>>,
  Same<contract.DatabaseBody, Output<typeof answers.Database>>,
  Same<contract.DatabaseListBody, Output<typeof answers.DatabaseList>>,
  Same<contract.CreateDatabaseAnswerBody, Output<typeof answers.CreateDatabaseAnswer>>,
  Same<contract.DropDatabaseAnswerBody, Output<typeof answers.DropDatabaseAnswer>>,
  Same<contract.CheckpointAnswerBody, Output<typeof answers.CheckpointAnswer>>,
  Same<contract.CheckpointModeName, Output<typeof requests.CheckpointQuery>["mode"]>,
  Same<contract.RestoreAnswerBody, Output<typeof answers.RestoreAnswer>>,
  Same<contract.MemberBody, Output<typeof answers.Member>>,
  Same<contract.ClusterBody, Output<typeof answers.Cluster>>,
  Same<contract.MemberIdBody, Output<typeof answers.MemberId>>,
  Same<contract.TransferAnswerBody, Output<typeof answers.TransferAnswer>>,
  Same<ErrorBody["error"]["code"], Output<typeof answers.ErrorAnswer>["error"]["code"]>,
  Same<keyof ErrorBody["error"], keyof Output<typeof answers.ErrorAnswer>["error"]>,
] = [
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
  true,
];

Deno.test("contract types and schemas agree", () => {
  if (checks.some((each) => !each)) throw new Error("unreachable: the compiler has checked this");
});
