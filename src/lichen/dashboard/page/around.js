// SPDX-License-Identifier: Apache-2.0
// What stands around the map: figures, projects, what needs attention, quotas, events, nodes.

import { h } from "./dom.js";
import { icon, plural, status } from "./map.js";
import { ago, amount, nameOf, promised, quotaBars, shortly, stateOf, tally, timeOf } from "./model.js";

const MOST_EVENTS = 40;
const MOST_TROUBLES = 12;
const ROOMY = 12; // nodes that get bars; more get a small square each
const SYSTEM = /^(kube-.*|default|lichen-system)$/;

/** Number and states of a kind. */
export function figure(title, name, objects, more) {
  const rows = tally(objects);
  return h("div", { class: "figure", key: title }, icon(name), h("b", {}, objects.length), h("span", { class: "what" }, title),
    h("span", { class: "rows" }, more ?? rows.slice(0, 3).map((row) => status({ word: `${row.count} ${row.word}`, tone: row.tone }))));
}

/** A button for each project that has something, or could. */
export function projects(has, chosen, choose) {
  const counts = new Map();
  const at = (name) => counts.get(name) || counts.set(name, { servers: 0, pods: 0, bad: 0 }).get(name);
  for (const namespace of has("namespaces")) if (!SYSTEM.test(namespace.metadata.name)) at(namespace.metadata.name);
  for (const plural of ["servers", "pods"]) {
    for (const obj of has(plural)) {
      const row = at(obj.metadata.namespace);
      row[plural] += 1;
      if (["bad", "warn"].includes(stateOf(obj).tone)) row.bad += 1;
    }
  }
  const rows = [...counts].sort(([a, x], [b, y]) => y.servers + y.pods - x.servers - x.pods || a.localeCompare(b));
  const button = (name, words, row) => h("button", { class: "project", key: name || "*", "aria-pressed": String(chosen === name), on: { click: () => choose(name) } },
    h("span", { class: "name" }, words), row && h("small", {}, [row.servers && plural(row.servers, "server"), row.pods && plural(row.pods, "pod")].filter(Boolean).join(" · ") || "empty"),
    row?.bad > 0 && h("span", { class: "badge", title: "need attention" }, row.bad));
  return [button("", "All projects"), ...rows.slice(0, 30).map(([name, row]) => button(name, name, row))];
}

export function attention(found, several, select) {
  if (!found.length) return h("p", { class: "calm" }, icon("check"), "Everything is as wanted.");
  return [
    ...found.slice(0, MOST_TROUBLES).map(({ obj, word, tone, reason }) => h("button", { class: "trouble", key: obj.metadata.uid, on: { click: () => select(obj) } },
      h("span", { class: "head" }, h("span", { class: "name" }, nameOf(obj)), status({ word, tone })),
      h("small", {}, reason || `${obj.kind} in ${obj.metadata.namespace}`), several && h("small", { class: "tag" }, obj.metadata.namespace))),
    found.length > MOST_TROUBLES && h("p", { class: "hint" }, `and ${found.length - MOST_TROUBLES} more`),
  ];
}

export function quotas(found, several) {
  if (!found.length) return h("p", { class: "hint" }, "No quota limits what is shown here. A cloud admin sets one with ", h("code", {}, "openstack quota set"), " or a ResourceQuota.");
  return found.map((quota) => h("div", { class: "quota", key: quota.metadata.uid },
    several && h("h4", {}, `${quota.metadata.namespace} · ${quota.metadata.name}`),
    quotaBars(quota).map((bar) => meter(bar.name, bar.share, bar.tone, bar.text))));
}

export function meter(name, share, tone, text) {
  return h("div", { class: "meter", key: name }, h("span", {}, name), h("small", {}, text),
    h("div", { class: `bar ${tone}`, role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100), "aria-valuetext": text },
      h("i", { style: { "--share": share } })));
}

/** The newest events; click leads to what they are about. */
export function events(found, several, open) {
  if (!found.length) return h("p", { class: "hint" }, "Nothing has happened lately.");
  return found.slice(0, MOST_EVENTS).map((event) => h("button", {
    class: `event ${event.type === "Warning" ? "warn" : ""}`, key: event.metadata.uid, on: { click: () => open(event.involvedObject) },
  },
  h("span", { class: "head" }, h("span", { class: "reason" }, event.reason), h("span", { class: "name" }, event.involvedObject.name), h("time", { datetime: timeOf(event) }, ago(timeOf(event)))),
  h("small", {}, several && `${event.metadata.namespace}: `, event.message, event.count > 1 && ` (×${event.count})`)));
}

export function nodes(found, servers, pods, selected, select) {
  const taken = promised(servers, pods);
  if (found.length > ROOMY) {
    return h("div", { class: "squares" }, found.map((node) => {
      const { cpu = 0 } = taken.get(node.metadata.name) || {};
      const share = Math.min(1, cpu / (amount(node.status?.allocatable?.cpu) || 1));
      const state = stateOf(node);
      const words = `node ${node.metadata.name}, ${state.word}, ${Math.round(share * 100)} % of CPU promised`;
      return h("button", { class: `square ${state.tone}${node.metadata.uid === selected ? " chosen" : ""}`, key: node.metadata.uid, title: words, "aria-label": words, style: { "--share": share }, on: { click: () => select(node) } });
    }));
  }
  return h("div", { class: "nodes" }, found.map((node) => nodeCard(node, taken.get(node.metadata.name), selected, select)));
}

function nodeCard(node, taken = { cpu: 0, memory: 0, guests: 0 }, selected, select) {
  const allocatable = node.status?.allocatable || {};
  const [cpu, memory] = [amount(allocatable.cpu), amount(allocatable.memory)];
  return h("button", { class: `node${node.metadata.uid === selected ? " chosen" : ""}`, key: node.metadata.uid, on: { click: () => select(node) }, "aria-label": `node ${node.metadata.name}, ${stateOf(node).word}` },
    h("span", { class: "head" }, icon("node"), h("span", { class: "name" }, node.metadata.name), status(stateOf(node))),
    meter("CPU", Math.min(1, taken.cpu / (cpu || 1)), "plain", `${shortly(taken.cpu)} of ${shortly(cpu)}`),
    meter("Memory", Math.min(1, taken.memory / (memory || 1)), "plain", `${shortly(taken.memory, true)} of ${shortly(memory, true)}`),
    h("small", {}, [node.metadata.labels?.["topology.kubernetes.io/zone"], plural(taken.guests, "guest")].filter(Boolean).join(" · ")));
}

/** What to type next, where there is nothing yet. */
export function nothingYet(namespace) {
  const project = namespace || "demo";
  return h("div", { class: "empty" }, h("h3", {}, "Nothing runs here yet"), h("p", {}, "What you make appears at once. Try one of these:"),
    h("pre", {}, `openstack image list\nopenstack server create --image IMAGE --flavor m1.tiny --network cluster web\n\nkubectl -n ${project} create deployment hello --image=busybox -- sleep 3600`));
}
