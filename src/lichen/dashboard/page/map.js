// SPDX-License-Identifier: Apache-2.0
// The map: what leads outside and the routers at the left, a lane for each network, wires between them.

import { h, render } from "./dom.js";
import { nameOf, reasonOf, stateOf, tally } from "./model.js";

const HUES = 6;
const SVG = "http://www.w3.org/2000/svg";

export const icon = (name) => h("svg", { class: "icon", "aria-hidden": "true", viewBox: "0 0 16 16" }, h("use", { href: `#i-${name}` }));

/** A dot and a word: never colour alone. */
export const status = ({ word, tone }) => h("span", { class: `status ${tone}` }, h("i", {}), word);

/** Draw a map (as of model.js) into `element`. view: {select(obj), selected: uid, matches(obj), several: projects}. */
export function drawMap(element, map, view) {
  const hues = new Map(map.inside.map((lane, i) => [lane.id, i % HUES]));
  const spine = [...map.outside.map(outsideNode), ...map.routers.map((r) => routerNode(r, view))];
  const lanes = [...map.inside, ...(map.loose ? [map.loose] : [])];
  element.classList.toggle("flat", !spine.length);
  render(element,
    h("svg", { class: "wires", "aria-hidden": "true", opaque: true, key: "wires" }),
    h("div", { class: "spine", key: "spine" }, spine),
    h("div", { class: "lanes", key: "lanes" }, lanes.map((lane) => laneNode(lane, hues.get(lane.id) ?? 0, view))));
  drawWires(element, map, hues);
}

function outsideNode(lane) {
  return h("div", { class: "outside", key: `o ${lane.id}`, "data-id": `o ${lane.id}` }, icon("cloud"),
    h("span", { class: "name" }, lane.network ? nameOf(lane.network) : lane.id), h("small", {}, ranges(lane) || "outside"));
}

function routerNode({ router, gateway }, view) {
  const state = stateOf(router);
  return h("button", {
    class: `router${chosen(router, view)}`, key: `r ${router.metadata.uid}`, "data-id": `r ${router.metadata.uid}`,
    on: { click: () => view.select(router) }, "aria-label": `router ${nameOf(router)}, ${state.word}`,
  }, icon("router"), h("span", { class: "name" }, nameOf(router)), h("small", {}, gateway?.ip || "no way out"), status(state));
}

function laneNode(lane, hue, view) {
  const title = lane.network ? nameOf(lane.network) : lane.id ? lane.id.split("/")[1] : "The host’s own network";
  const pods = lane.groups.reduce((sum, g) => sum + g.pods.length, 0);
  const dense = pods > 120;
  const home = lane.network && !lane.network.spec.shared ? lane.network.metadata.namespace : "";
  return h("section", { class: `lane hue-${hue}`, key: `l ${lane.id}`, "data-id": `l ${lane.id}`, "aria-label": `network ${title}` },
    h("header", {},
      lane.network ? h("button", { class: "plain", on: { click: () => view.select(lane.network) } }, h("h3", {}, title)) : h("h3", {}, title),
      h("small", { class: "mono" }, ranges(lane)),
      lane.network?.spec.shared && h("small", { class: "tag" }, "shared"),
      view.several && lane.network && !lane.network.spec.shared && h("small", { class: "tag" }, lane.network.metadata.namespace),
      h("small", { class: "counts" }, [lane.servers.length && plural(lane.servers.length, "server"), pods && plural(pods, "pod")].filter(Boolean).join(" · ") || "nothing on it yet")),
    lane.servers.length > 0 && h("div", { class: "servers" }, lane.servers.map((s) => serverNode(s, home, view))),
    lane.groups.length > 0 && h("div", { class: `groups${dense ? " dense" : ""}` }, lane.groups.map((g) => groupNode(g, home, view))));
}

export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const ranges = (lane) => lane.subnets.map((s) => s.spec.cidr).join(", ");
const chosen = (obj, view) => `${obj.metadata.uid === view.selected ? " chosen" : ""}${view.matches(obj) ? "" : " dim"}`;

function serverNode({ server, ip, floating, also }, home, view) {
  const state = stateOf(server);
  const reason = reasonOf(server);
  return h("button", {
    class: `server ${state.tone}${chosen(server, view)}`, key: server.metadata.uid + ip, title: reason || null,
    "aria-label": `server ${nameOf(server)}, ${state.word}`, on: { click: () => view.select(server) },
  },
  icon("server"), h("span", { class: "name" }, nameOf(server)), also > 0 && h("small", { class: "also", title: `on ${also + 1} networks` }, `+${also}`),
  h("span", { class: "line" }, status(state), h("small", { class: "mono" }, ip || "no address")),
  floating && h("span", { class: "line mono float", title: "floating IP" }, `↗ ${floating}`),
  home !== server.metadata.namespace && view.several && h("small", { class: "line" }, server.metadata.namespace));
}

function groupNode(group, home, view) {
  const single = group.kind === "Pod";
  return h("div", { class: "group", key: group.id },
    h("div", { class: "title" }, h("span", { class: "name" }, group.name),
      h("small", {}, [view.several && home !== group.namespace && group.namespace, !single && group.kind].filter(Boolean).join(" · "))),
    h("div", { class: "pods" }, group.pods.map((pod) => podNode(pod, view))),
    h("div", { class: "sum" }, tally(group.pods).map((row) => status({ word: single ? row.word : `${row.count} ${row.word}`, tone: row.tone }))));
}

function podNode(pod, view) {
  const state = stateOf(pod);
  const words = `pod ${pod.metadata.name}, ${state.word}`;
  return h("button", {
    class: `pod ${state.tone}${chosen(pod, view)}`, key: pod.metadata.uid, title: `${words}${pod.status?.podIP ? `, ${pod.status.podIP}` : ""}`,
    "aria-label": words, on: { click: () => view.select(pod) },
  });
}

// --- wires ------------------------------------------------------------------------------------------------------------

function drawWires(element, map, hues) {
  const svg = element.querySelector(".wires");
  const frame = element.getBoundingClientRect();
  const place = new Map([...element.querySelectorAll("[data-id]")].map((node) => [node.dataset.id, node.getBoundingClientRect()]));
  const paths = [];
  for (const { router, joins, gateway } of map.routers) {
    const from = place.get(`r ${router.metadata.uid}`);
    if (!from) continue;
    const out = gateway && place.get(`o ${gateway.network}`);
    if (out) paths.push({ d: upwards(from, out, frame), hue: "out" });
    for (const [index, { network }] of joins.entries()) {
      const to = place.get(`l ${network}`);
      if (to) paths.push({ d: across(from, to, frame, (index + 1) / (joins.length + 1)), hue: hues.get(network) ?? 0 });
    }
  }
  const drawn = JSON.stringify(paths);
  if (svg.drawn === drawn) return;
  svg.drawn = drawn;
  svg.replaceChildren(...paths.map(({ d, hue }) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    path.setAttribute("class", `wire hue-${hue}`);
    return path;
  }));
}

function upwards(from, to, frame) {
  const x = from.left + from.width / 2 - frame.left;
  return `M ${x} ${from.top - frame.top} V ${to.bottom - frame.top}`;
}

function across(from, to, frame, share) {
  const [x1, y1] = [from.right - frame.left, from.top + from.height * share - frame.top];
  const [x2, y2] = [to.left - frame.left, to.top + 22 - frame.top];
  const half = (x1 + x2) / 2;
  return `M ${x1} ${y1} C ${half} ${y1} ${half} ${y2} ${x2} ${y2}`;
}
