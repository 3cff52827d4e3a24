// SPDX-License-Identifier: Apache-2.0
// What objects mean to a person: a word and a tone for each state, the reason for what is not as wanted, who is on which
// network, how full a quota is. Pure functions of objects.

const PODS_NETWORK = "lichen-system/cluster";
const ON_NETWORK = "network.lichen.dev/network";
const SERVER_TONES = { Running: "good", Stopped: "idle", Paused: "idle", Suspended: "idle", Error: "bad" };
const BROKEN = new Set(["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerError", "CreateContainerConfigError", "RunContainerError", "ErrImageNeverPull"]);

export const nameOf = (obj) => obj.spec?.displayName || obj.metadata.name;
export const conditionsOf = (obj) => obj.status?.conditions || [];
export const conditionOf = (obj, type) => conditionsOf(obj).find((c) => c.type === type);

/** {word, tone}: tone is good, busy, warn, bad or idle. */
export function stateOf(obj) {
  if (obj.metadata.deletionTimestamp) return { word: obj.kind === "Pod" ? "Terminating" : "Deleting", tone: "busy" };
  if (obj.kind === "Pod") return podState(obj);
  if (obj.kind === "Server") return serverState(obj);
  if (obj.kind === "Node") return nodeState(obj);
  const phase = obj.status?.phase || "";
  const tone = { ACTIVE: "good", Active: "good", DOWN: "idle", ERROR: "bad", BUILD: "busy" }[phase] || "idle";
  return { word: phase ? phase[0] + phase.slice(1).toLowerCase() : "New", tone };
}

function serverState(server) {
  const { phase = "", guestOff = false } = server.status || {};
  const wanted = server.spec.power || "On";
  if (!phase || phase === "Pending") return conditionFailed(server) ? { word: "Pending", tone: "warn" } : { word: "Pending", tone: "busy" };
  if (phase === "Running" && wanted === "Off") return { word: "Stopping", tone: "busy" };
  if (phase === "Stopped" && wanted === "On") return guestOff ? { word: "Powered off", tone: "idle" } : { word: "Starting", tone: "busy" };
  return { word: phase, tone: SERVER_TONES[phase] || "busy" };
}

function podState(pod) {
  const { phase = "Pending", containerStatuses = [], initContainerStatuses = [], reason = "" } = pod.status || {};
  if (phase === "Succeeded") return { word: "Completed", tone: "idle" };
  if (phase === "Failed") return { word: reason || "Failed", tone: "bad" };
  const waiting = [...initContainerStatuses, ...containerStatuses].map((c) => c.state?.waiting?.reason).filter(Boolean);
  const broken = waiting.find((why) => BROKEN.has(why));
  if (broken) return { word: broken, tone: "bad" };
  if (phase === "Pending") return conditionOf(pod, "PodScheduled")?.status === "False" ? { word: "Pending", tone: "warn" } : { word: waiting[0] === "ContainerCreating" ? "Starting" : "Pending", tone: "busy" };
  if (conditionOf(pod, "Ready")?.status === "True") return { word: "Running", tone: "good" };
  const ended = containerStatuses.map((c) => c.state?.terminated?.reason).find(Boolean);
  return ended ? { word: ended, tone: "warn" } : { word: "Not ready", tone: "busy" };
}

function nodeState(node) {
  const ready = conditionOf(node, "Ready");
  if (ready?.status !== "True") return { word: "Not ready", tone: "bad" };
  return node.spec?.unschedulable ? { word: "Cordoned", tone: "idle" } : { word: "Ready", tone: "good" };
}

const conditionFailed = (obj) => conditionsOf(obj).find((c) => c.status === "False" && c.message);

/** Why a thing is not as wanted, in the words of its conditions; "" if there is nothing to say. */
export function reasonOf(obj) {
  const { tone } = stateOf(obj);
  if (tone === "good" || tone === "idle") return "";
  const { fault = "", message = "", containerStatuses = [], initContainerStatuses = [] } = obj.status || {};
  const waiting = [...initContainerStatuses, ...containerStatuses].map((c) => c.state?.waiting?.message).find(Boolean);
  return fault || waiting || message || conditionFailed(obj)?.message || "";
}

/** Those that a person should look at, worst first: {obj, word, tone, reason}. */
export function troubles(...kinds) {
  const found = [];
  for (const objects of kinds) {
    for (const obj of objects) {
      const state = stateOf(obj);
      if (state.tone === "bad" || state.tone === "warn") found.push({ obj, ...state, reason: reasonOf(obj) });
    }
  }
  return found.sort((a, b) => a.tone.localeCompare(b.tone));
}

/** How many of `objects` are in which state: [{word, tone, count}], the most frequent first. */
export function tally(objects) {
  const counts = new Map();
  for (const obj of objects) {
    const { word, tone } = stateOf(obj);
    const row = counts.get(word) || { word, tone, count: 0 };
    row.count += 1;
    counts.set(word, row);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}

/** What a pod is one of: its Deployment, Job…; a pod on its own is a group of one. */
export function groupOf(pod) {
  const owner = (pod.metadata.ownerReferences || []).find((o) => o.controller);
  if (!owner) return { kind: "Pod", name: pod.metadata.name };
  const hash = pod.metadata.labels?.["pod-template-hash"];
  const made = owner.kind === "ReplicaSet" && hash && owner.name.endsWith(`-${hash}`);
  return made ? { kind: "Deployment", name: owner.name.slice(0, -hash.length - 1) } : { kind: owner.kind, name: owner.name };
}

const whole = (reference, namespace) => (reference.includes("/") ? reference : `${namespace}/${reference}`);

/** The map: which networks there are, what is on each, and which routers join them.
 *  has(plural): objects of a kind. shown(namespace): whether a project is looked at. */
export function mapOf(has, shown) {
  const lanes = new Map();
  const lane = (id) => {
    if (!lanes.has(id)) lanes.set(id, { id, network: null, subnets: [], servers: [], groups: new Map(), routers: [], used: false });
    return lanes.get(id);
  };
  for (const network of has("networks")) lane(`${network.metadata.namespace}/${network.metadata.name}`).network = network;
  for (const subnet of has("subnets")) lane(whole(subnet.spec.network, subnet.metadata.namespace)).subnets.push(subnet);
  const ports = portsByDevice(has("ports"));
  const floating = floatingByPort(has("floatingips"));
  for (const server of has("servers")) if (shown(server.metadata.namespace)) placeServer(server, ports, floating, lane);
  for (const pod of has("pods")) if (shown(pod.metadata.namespace)) placePod(pod, ports, lane);
  const routers = [...has("routers")].filter((r) => shown(r.metadata.namespace)).sort(byName).map((r) => placeRouter(r, ports, lane));
  const all = [...lanes.values()];
  const outside = all.filter((l) => l.network?.spec.external && (l.used || shown(l.network.metadata.namespace) || routers.length)).sort(byUse(routers));
  const inside = all.filter((l) => !l.network?.spec.external && l.id !== "" && (l.used || (l.network && shown(l.network.metadata.namespace))));
  for (const one of all) one.groups = [...one.groups.values()].sort((a, b) => a.name.localeCompare(b.name) || a.namespace.localeCompare(b.namespace));
  const loose = lanes.get("");
  return { outside, routers, inside: inside.sort(byRouter), loose: loose?.used ? loose : null };
}

const byName = (a, b) => nameOf(a).localeCompare(nameOf(b));
const byId = (a, b) => a.id.localeCompare(b.id);
/** What a router leads to stands next to the routers: its wire crosses nothing. */
const byUse = (routers) => {
  const used = new Set(routers.map((r) => r.gateway?.network));
  return (a, b) => used.has(a.id) - used.has(b.id) || byId(a, b);
};
const byRouter = (a, b) => (b.routers.length > 0) - (a.routers.length > 0) || byId(a, b);

function portsByDevice(ports) {
  const found = new Map();
  for (const port of ports) {
    const { deviceId = "" } = port.spec;
    if (!deviceId) continue;
    if (found.has(deviceId)) found.get(deviceId).push(port);
    else found.set(deviceId, [port]);
  }
  return found;
}

function floatingByPort(floatingips) {
  return new Map([...floatingips].filter((f) => f.spec.portId).map((f) => [f.spec.portId, f]));
}

function placeServer(server, ports, floating, lane) {
  const { namespace } = server.metadata;
  const plugged = (ports.get(server.spec.id) || []).map((port) => ({
    network: whole(port.spec.network, namespace),
    ip: (port.spec.fixedIps || [])[0]?.ipAddress || "",
    floating: floating.get(port.spec.id)?.spec.address || "",
  }));
  const wanted = (server.spec.networks || []).filter((n) => n.network).map((n) => ({ network: whole(n.network, namespace), ip: "", floating: "" }));
  const interfaces = plugged.length ? plugged : wanted.length ? wanted : [{ network: "", ip: "", floating: "" }];
  for (const at of interfaces) {
    const here = lane(at.network);
    here.used = true;
    here.servers.push({ server, ip: at.ip, floating: at.floating, also: interfaces.length - 1 });
  }
}

function placePod(pod, ports, lane) {
  const { namespace, uid, annotations = {} } = pod.metadata;
  const port = ports.get(uid)?.[0];
  const outside = pod.spec.hostNetwork || pod.spec.runtimeClassName === "process";
  const network = port ? whole(port.spec.network, namespace) : outside ? "" : whole(annotations[ON_NETWORK] || PODS_NETWORK, namespace);
  const here = lane(network);
  here.used = true;
  const { kind, name } = groupOf(pod);
  const id = `${namespace}/${kind}/${name}`;
  if (!here.groups.has(id)) here.groups.set(id, { id, kind, name, namespace, pods: [] });
  here.groups.get(id).pods.push(pod);
}

function placeRouter(router, ports, lane) {
  const { namespace } = router.metadata;
  const joins = [];
  for (const port of ports.get(router.spec.id) || []) {
    if (port.spec.deviceOwner !== "network:router_interface") continue;
    const network = whole(port.spec.network, namespace);
    joins.push({ network, ip: (port.spec.fixedIps || [])[0]?.ipAddress || "" });
    lane(network).routers.push(router);
  }
  const gateway = router.spec.externalGateway;
  return { router, joins, gateway: gateway ? { network: whole(gateway.network, namespace), ip: router.status?.gateway || "" } : null };
}

// --- quantities ----------------------------------------------------------------------------------------------------------

const FACTORS = { n: 1e-9, u: 1e-6, m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 };

/** A Kubernetes quantity as a number. */
export function amount(text) {
  const found = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/.exec(String(text ?? "0"));
  return found ? Number(found[1]) * (FACTORS[found[2]] ?? 1) : 0;
}

/** A number of bytes, or of anything else, as a person writes it. */
export function shortly(value, inBytes) {
  if (!inBytes) return String(Math.round(value * 100) / 100);
  const unit = ["", "Ki", "Mi", "Gi", "Ti", "Pi"].findLast((_, i) => value >= 1024 ** i || i === 0);
  const size = value / FACTORS[unit];
  return `${size >= 100 || Number.isInteger(size) ? Math.round(size) : size.toFixed(1)}${unit && ` ${unit}B`}`;
}

const RESOURCES = { "requests.cpu": "CPU", "requests.memory": "Memory", cpu: "CPU", memory: "Memory", pods: "Pods", "limits.cpu": "CPU limits", "limits.memory": "Memory limits", "requests.storage": "Storage", persistentvolumeclaims: "Volume claims" };

/** The bars of a ResourceQuota: {name, used, hard, share, tone, text}. */
export function quotaBars(quota) {
  const { hard = {}, used = {} } = quota.status || {};
  return Object.entries({ ...quota.spec?.hard, ...hard }).map(([key, most]) => {
    const [has, limit] = [amount(used[key]), amount(most)];
    const share = limit > 0 ? has / limit : has > 0 ? 1 : 0;
    const inBytes = /memory|storage|gigabytes/.test(key);
    const name = RESOURCES[key] || key.replace(/^count\//, "").replace(/\..*/, "").replace(/^./, (c) => c.toUpperCase());
    return { key, name, share: Math.min(1, share), tone: share >= 1 ? "bad" : share >= 0.8 ? "warn" : "good", text: `${shortly(has, inBytes)} of ${shortly(limit, inBytes)}` };
  });
}

/** What is promised on each node: name → {cpu, memory}, in cores and bytes. */
export function promised(servers, pods) {
  const found = new Map();
  const add = (node, cpu, memory) => {
    const sum = found.get(node) || { cpu: 0, memory: 0, guests: 0 };
    found.set(node, { cpu: sum.cpu + cpu, memory: sum.memory + memory, guests: sum.guests + 1 });
  };
  for (const { spec, status } of servers) {
    if (spec.node && status?.phase !== "Error") add(spec.node, spec.resources?.vcpus || 0, (spec.resources?.memory || 0) * 2 ** 20);
  }
  for (const { spec, status } of pods) {
    if (!spec.nodeName || ["Succeeded", "Failed"].includes(status?.phase)) continue;
    const asked = spec.containers.map((c) => c.resources?.requests || {});
    add(spec.nodeName, asked.reduce((sum, r) => sum + amount(r.cpu), 0), asked.reduce((sum, r) => sum + amount(r.memory), 0));
  }
  return found;
}

/** How long ago: 12 s, 5 min, 3 h, 12 d. */
export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.floor(seconds)} s`;
}

export const timeOf = (event) => event.lastTimestamp || event.eventTime || event.series?.lastObservedTime || event.metadata.creationTimestamp;
