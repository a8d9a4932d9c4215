import type { Unsigned64 } from "../../../core/base/ids.ts";
import type { ClusterStatus, MemberChange, MemberStatus } from "../../../core/node/service.ts";
import type {
  ClusterBody,
  MemberBody,
  MemberIdBody,
  TransferAnswerBody,
  UnsignedJson,
} from "../../api/contract.ts";
import { AddMemberRequestBody, ChangeMemberRequestBody, TransferRequestBody } from "../../api/schemas.ts";
import type { Output } from "../../api/validate.ts";
import type { Call } from "../call.ts";
import type { HttpResponse } from "../http_message.ts";

/** `GET /v1/cluster` */
export async function cluster(call: Call): Promise<HttpResponse> {
  return call.answer(200, toClusterBody(await call.node.cluster()));
}

/** `POST /v1/cluster/members` */
export async function addMember(call: Call): Promise<HttpResponse> {
  const body = await call.body(AddMemberRequestBody);
  const addresses = { raftAddress: body.raft_address, httpAddress: body.http_address };
  const member = { ...addresses, ...toMemberChange(body) };
  const { id } = await call.node.addMember(member, body.timeout_ms);
  return call.answer(201, { id } satisfies MemberIdBody);
}

/** `POST /v1/cluster/members/{member}` */
export async function changeMember(call: Call): Promise<HttpResponse> {
  const id = call.member;
  const body = await call.body(ChangeMemberRequestBody);
  await call.node.changeMember(id, toMemberChange(body), body.timeout_ms);
  return call.answer(200, { id } satisfies MemberIdBody);
}

/** `DELETE /v1/cluster/members/{member}` */
export async function removeMember(call: Call): Promise<HttpResponse> {
  const id = call.member;
  await call.node.removeMember(id, call.timeoutMs);
  return call.answer(200, { id } satisfies MemberIdBody);
}

/** `POST /v1/cluster/transfer` */
export async function transfer(call: Call): Promise<HttpResponse> {
  const body = await call.body(TransferRequestBody);
  const { leaderId } = await call.node.transferLeadership(body.to, body.timeout_ms);
  return call.answer(200, { leader_id: leaderId } satisfies TransferAnswerBody);
}

function toMemberChange(
  { role, weight, failure_domain }: Output<typeof ChangeMemberRequestBody>,
): MemberChange {
  return {
    ...(role === undefined ? {} : { role }),
    ...(weight === undefined ? {} : { weight }),
    ...(failure_domain === undefined ? {} : { failureDomain: failure_domain }),
  };
}

function toClusterBody(status: ClusterStatus): ClusterBody {
  return {
    cluster_id: status.clusterId,
    node_id: status.nodeId,
    role: status.role,
    term: status.term,
    leader_id: status.leaderId ?? null,
    leader_http_address: status.leaderHttpAddress ?? null,
    tip: status.tip,
    commit_index: status.commitIndex,
    changing: status.changing,
    members: status.members.map(toMemberBody),
  };
}

function toMemberBody(member: MemberStatus): MemberBody {
  return {
    id: member.id,
    raft_address: member.raftAddress,
    http_address: member.httpAddress,
    role: member.role,
    match_index: member.matchIndex ?? null,
    lag: member.lag ?? null,
    last_contact_ms: member.lastContactMs ?? null,
    weight: toUnsignedJson(member.weight),
    failure_domain: toUnsignedJson(member.failureDomain),
  };
}

function toUnsignedJson(value: Unsigned64): UnsignedJson {
  return typeof value === "bigint" ? String(value) : value;
}
