// SPDX-License-Identifier: Apache-2.0
// What the panel says of a thing, as [name, value] in the order of interest.

import { ago, amount, groupOf, shortly } from "./model.js";

const KINDS = { Server: ofServer, Pod: ofPod, Node: ofNode, Network: ofNetwork, Router: ofRouter };

export function facts(obj) {
  const all = [...(KINDS[obj.kind]?.(obj) || []), ["Age", ago(obj.metadata.creationTimestamp)], ["Id", obj.spec?.id || obj.metadata.uid]];
  return all.filter(([, value]) => value !== undefined && value !== null && value !== "");
}

function ofServer({ spec, status = {}, metadata }) {
  const { vcpus, memory, disk } = spec.resources || {};
  const addresses = (status.addresses || []).map((a) => `${a.ip} (${a.type === "floating" ? "floating" : a.network})`);
  return [
    ["Flavor", vcpus ? `${spec.flavor}: ${vcpus} vCPU, ${memory} MiB${disk ? `, ${disk} GiB disk` : ""}` : spec.flavor],
    ["Image", spec.image],
    ["Addresses", addresses.join(", ")],
    ["Node", spec.node],
    ["Zone", spec.availabilityZone],
    ["Key", spec.keypair],
    ["Groups", (status.securityGroups || []).join(", ")],
    ["Volumes", (spec.volumes || []).map((v) => v.volume).join(", ")],
    ["Wanted", spec.power === "On" ? "" : spec.power],
    ["Doing", status.task],
    ["Restarts", status.restarts || ""],
    ["Locked", spec.locked ? spec.lockedReason || "yes" : ""],
    ["Up since", status.phase === "Running" && status.startedAt ? `${ago(status.startedAt)} ago` : ""],
    ["Name", spec.displayName && spec.displayName !== metadata.name ? metadata.name : ""],
  ];
}

function ofPod({ spec, status = {}, metadata }) {
  const owner = groupOf({ metadata });
  const restarts = (status.containerStatuses || []).reduce((sum, c) => sum + c.restartCount, 0);
  return [
    ["Part of", owner.kind === "Pod" ? "" : `${owner.kind} ${owner.name}`],
    ["Images", spec.containers.map((c) => c.image).join(", ")],
    ["Asks for", requests(spec)],
    ["Address", status.podIP],
    ["Node", spec.nodeName],
    ["Isolation", spec.runtimeClassName],
    ["Quality", status.qosClass],
    ["Restarts", restarts || ""],
  ];
}

function requests({ containers }) {
  const sum = (key) => containers.reduce((total, c) => total + amount(c.resources?.requests?.[key]), 0);
  const [cpu, memory] = [sum("cpu"), sum("memory")];
  return [cpu && `${shortly(cpu)} CPU`, memory && shortly(memory, true)].filter(Boolean).join(", ");
}

function ofNode({ status = {}, metadata, spec }) {
  const { cpu, memory, pods } = status.allocatable || {};
  const info = status.nodeInfo || {};
  return [
    ["Room", cpu ? `${cpu} CPU, ${shortly(amount(memory), true)}, ${pods} pods` : ""],
    ["Zone", metadata.labels?.["topology.kubernetes.io/zone"]],
    ["Guests under", metadata.annotations?.["compute.lichen.dev/accelerator"] || metadata.labels?.["compute.lichen.dev/accelerator"]],
    ["Address", (status.addresses || []).find((a) => a.type === "InternalIP")?.address],
    ["System", [info.osImage, info.kernelVersion].filter(Boolean).join(", ")],
    ["Containers", info.containerRuntimeVersion],
    ["Taints", (spec?.taints || []).map((t) => `${t.key}:${t.effect}`).join(", ")],
  ];
}

function ofNetwork({ spec, status = {} }) {
  const tags = [spec.shared && "shared with every project", spec.external && "leads outside", !spec.adminStateUp && "switched off"];
  return [
    ["Description", spec.description],
    ["Subnets", (status.subnets || []).join(", ")],
    ["MTU", spec.mtu],
    ["Segment", spec.segment || ""],
    ["Is", tags.filter(Boolean).join(", ")],
  ];
}

function ofRouter({ spec, status = {} }) {
  const gateway = spec.externalGateway;
  return [
    ["Joins", (status.subnets || []).join(", ")],
    ["Way out", gateway ? `${gateway.network}${status.gateway ? ` as ${status.gateway}` : ""}` : "none"],
    ["SNAT", gateway ? (gateway.enableSnat ? "yes" : "no") : ""],
  ];
}
