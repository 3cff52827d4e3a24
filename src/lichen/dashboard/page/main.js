// SPDX-License-Identifier: Apache-2.0
// The page: log in, follow the cloud, draw it whenever it changed, at most once a frame.

import { Api } from "./api.js";
import * as around from "./around.js";
import { h, render } from "./dom.js";
import { Live } from "./live.js";
import { askWhoItIs } from "./login.js";
import { drawMap, icon, plural, status } from "./map.js";
import { mapOf, nameOf, stateOf, timeOf, troubles } from "./model.js";
import { Panel } from "./panel.js";
import * as sessions from "./session.js";

const PLURALS = { Server: "servers", Pod: "pods", Node: "nodes", Network: "networks", Router: "routers" };
const STATES = { live: ["Live", "good"], loading: ["Connecting", "busy"], lost: ["Reconnecting", "warn"] };
const SHARE = 4; // between two drawings lies at least this many times what the last one took
const TICK = 30_000; // ages are drawn anew

const root = document.getElementById("page");

function enter(words = "") {
  document.title = "Lichen";
  root.className = "outside-door";
  askWhoItIs(root, words, (session) => {
    sessions.keep(session);
    new Page(session).start();
  });
}

class Page {
  constructor(session) {
    this.session = session;
    this.filter = "";
    this.project = session.everything ? "" : session.namespace;
    Object.assign(this, { waiting: false, took: 0, drawnAt: 0 });
    this.api = new Api(session.token);
    this.live = new Live(this.api, session, { changed: () => this.soon(), lost: () => this.leave("Your session has ended. Log in again.") });
  }

  start() {
    root.className = "";
    root.replaceChildren();
    root.append(...["top", "body", "panel"].map((name) => Object.assign(document.createElement(name === "panel" ? "aside" : "div"), { className: name })));
    [this.top, this.body, this.side] = root.children;
    this.side.hidden = true;
    this.side.setAttribute("aria-label", "Details");
    this.panel = new Panel(this.side, { api: this.api, live: this.live, closed: () => this.soon() });
    this.ending = new AbortController();
    const { signal } = this.ending;
    addEventListener("keydown", (event) => this.key(event), { signal });
    addEventListener("resize", () => this.soon(), { signal });
    this.ticking = setInterval(() => this.soon(), TICK);
    this.live.start();
    this.draw();
  }

  stop() {
    this.ending.abort();
    clearInterval(this.ticking);
    this.panel.close();
    this.live.stop();
  }

  leave(words) {
    this.stop();
    sessions.forget();
    root.replaceChildren();
    enter(words);
  }

  async logOut() {
    this.leave("");
    await sessions.leave(this.session);
  }

  /** Look at another project: a filter for those who see everything, another token for the others. */
  async choose(name) {
    if (this.session.everything) {
      this.project = name;
      this.soon();
      return;
    }
    try {
      const session = await sessions.toProject(this.session.token, name);
      this.stop();
      sessions.keep(session);
      new Page(session).start();
    } catch (refusal) {
      this.leave(refusal.message);
    }
  }

  key(event) {
    if (event.defaultPrevented) return; // typed on a console
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "Escape") typing ? event.target.blur() : this.panel.close();
    if (event.key === "/" && !typing) {
      event.preventDefault();
      this.top.querySelector("input").focus();
    }
  }

  soon() {
    if (this.waiting) return;
    this.waiting = true;
    const rest = Math.max(0, SHARE * this.took - (performance.now() - this.drawnAt)); // a storm of events leaves the browser time
    setTimeout(() => requestAnimationFrame(() => {
      this.waiting = false;
      if (this.ending.signal.aborted) return;
      const began = performance.now();
      this.draw();
      this.drawnAt = performance.now();
      this.took = this.drawnAt - began;
    }), rest);
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  shown(namespace) {
    return !this.project || namespace === this.project;
  }

  /** The objects of a kind in the projects that are looked at. */
  some(plural) {
    return [...this.live.all(plural).values()].filter((obj) => !obj.metadata.namespace || this.shown(obj.metadata.namespace));
  }

  draw() {
    const view = this.view();
    const servers = this.some("servers");
    const pods = this.some("pods");
    const nodes = this.some("nodes").sort((a, b) => a.metadata.name.localeCompare(b.metadata.name, undefined, { numeric: true }));
    const found = troubles(nodes, servers, pods);
    document.title = `${found.length ? `(${found.length}) ` : ""}${this.project || "All projects"} – Lichen`;
    render(this.top, this.header(found));
    const ready = this.live.listed;
    this.body.setAttribute("aria-busy", String(!ready));
    render(this.body,
      h("main", { key: "main" },
        h("div", { class: "figures", key: "figures" },
          around.figure("Servers", "server", servers), around.figure("Pods", "pod", pods),
          around.figure("Networks", "network", [...this.live.all("networks").values()].filter((n) => this.used(n))),
          this.live.may("nodes") && nodes.length > 0 && around.figure("Nodes", "node", nodes)),
        this.session.everything && h("nav", { class: "projects", key: "projects", "aria-label": "Projects" }, around.projects((kind) => this.live.all(kind).values(), this.project, (name) => this.choose(name))),
        h("section", { class: "card map-card", key: "map", "aria-label": "Map" },
          h("h2", {}, "Map"),
          ready && !servers.length && !pods.length && around.nothingYet(this.project),
          h("div", { class: "map", opaque: true, key: "drawn" })),
        nodes.length > 0 && h("section", { class: "card", key: "nodes" }, h("h2", {}, "Nodes"),
          around.nodes(nodes, this.live.all("servers").values(), this.live.all("pods").values(), view.selected, view.select))),
      h("div", { class: "beside", key: "beside" },
        h("section", { class: "card", key: "attention" }, h("h2", {}, "Needs attention", found.length > 0 && h("span", { class: "badge" }, found.length)), ready ? around.attention(found, view.several, view.select) : null),
        h("section", { class: "card", key: "quotas" }, h("h2", {}, "Quota"), ready ? around.quotas(this.some("resourcequotas"), view.several) : null),
        h("section", { class: "card events", key: "events" }, h("h2", {}, "Events"), around.events(this.newest(), view.several, (about) => this.open(about)))));
    drawMap(this.body.querySelector(".map"), mapOf((kind) => this.live.all(kind).values(), (namespace) => this.shown(namespace)), view);
    this.panel.refresh();
  }

  used(network) {
    return this.shown(network.metadata.namespace) || network.spec.shared || network.spec.external;
  }

  view() {
    const wanted = this.filter.toLowerCase();
    return {
      several: !this.project,
      selected: this.panel.uid,
      select: (obj) => {
        this.panel.open(obj);
        this.soon();
      },
      matches: (obj) => !wanted || `${nameOf(obj)} ${obj.metadata.name} ${obj.spec?.node || obj.spec?.nodeName || ""} ${obj.status?.podIP || obj.status?.ips || ""} ${stateOf(obj).word}`.toLowerCase().includes(wanted),
    };
  }

  newest() {
    return this.some("events")
      .map((event) => [timeOf(event), Number(event.metadata.resourceVersion), event])
      .sort(([a, x], [b, y]) => (a < b ? 1 : a > b ? -1 : y - x))
      .map(([, , event]) => event);
  }

  /** The panel of what an event is about, if it is one of the things shown. */
  open({ kind, uid }) {
    const obj = PLURALS[kind] && this.live.all(PLURALS[kind]).get(uid);
    if (obj) this.view().select(obj);
  }

  header(found) {
    const { session } = this;
    const [words, tone] = STATES[this.live.state];
    const names = session.everything ? [...this.live.all("namespaces").values()].map((n) => n.metadata.name).sort() : session.namespaces;
    return h("header", { class: "bar-top" },
      h("a", { class: "brand", href: "./", "aria-label": "Lichen" }, h("svg", { class: "mark", viewBox: "0 0 32 32", "aria-hidden": "true" }, h("use", { href: "#i-mark" })), "Lichen"),
      h("label", { class: "picker" }, h("span", { class: "unseen" }, "Project"),
        h("select", { value: this.project, on: { change: (event) => this.choose(event.target.value) } },
          session.everything && h("option", { value: "" }, "All projects"), names.map((name) => h("option", { value: name, key: name }, name)))),
      h("label", { class: "search" }, h("span", { class: "unseen" }, "Find by name, address, node or state"), icon("search"),
        h("input", { type: "search", placeholder: "Find…   /", on: { input: (event) => { this.filter = event.target.value; this.soon(); } } })),
      h("span", { class: "health" }, status(found.length ? { word: `${plural(found.length, "thing")} need${found.length === 1 ? "s" : ""} attention`, tone: found[0].tone } : { word: "All is well", tone: "good" })),
      h("span", { class: `connection ${this.live.state}`, role: "status" }, status({ word: words, tone })),
      h("span", { class: "who" }, session.user, session.roles.length > 0 && h("small", {}, strongest(session.roles))),
      h("button", { class: "quiet", on: { click: () => this.logOut() } }, "Log out"));
  }
}

const strongest = (roles) => ["admin", "manager", "member", "reader"].find((role) => roles.includes(role)) || roles[0];

const session = sessions.kept();
if (session) new Page(session).start();
else enter();
