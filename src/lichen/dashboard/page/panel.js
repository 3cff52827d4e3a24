// SPDX-License-Identifier: Apache-2.0
// The panel of one thing: what it is, why it is not as wanted, its console or log, and the few things to do with it.

import { pathOf } from "./api.js";
import { h, render } from "./dom.js";
import { facts } from "./facts.js";
import { icon, status } from "./map.js";
import { ago, conditionsOf, nameOf, reasonOf, stateOf, timeOf } from "./model.js";
import { Output } from "./output.js";

const PLURALS = { Server: "servers", Pod: "pods", Node: "nodes", Network: "networks", Router: "routers" };
const MERGE = "application/merge-patch+json";
const MOST_EVENTS = 20;

export class Panel {
  /** element: an <aside>. closed(): it was closed. */
  constructor(element, { api, live, closed }) {
    Object.assign(this, { element, api, live, closed });
    this.obj = null;
    this.allowed = new Map();
    this.output = new Output(api, () => this.draw());
  }

  get uid() {
    return this.obj?.metadata.uid || "";
  }

  open(obj) {
    if (this.uid === obj.metadata.uid) return;
    this.opener ??= document.activeElement;
    Object.assign(this, { obj, gone: false, refusal: "", asking: false, busy: false });
    this.element.hidden = false;
    this.output.show(obj);
    this.draw();
    this.element.querySelector("h2")?.focus();
    this.ask();
  }

  close() {
    if (!this.obj) return;
    this.output.stop();
    this.obj = null;
    this.element.hidden = true;
    if (this.opener?.isConnected) this.opener.focus();
    this.opener = null;
    this.closed();
  }

  /** The cloud changed: show what became of the thing. */
  refresh() {
    if (!this.obj) return;
    const now = this.live.all(PLURALS[this.obj.kind]).get(this.uid);
    this.gone = !now;
    if (now && now !== this.obj) {
      this.obj = now;
      this.output.changed(now);
    }
    this.draw();
  }

  /** What this user may do with such a thing: a button that would be refused is not shown. */
  async ask() {
    const { kind, metadata, apiVersion } = this.obj;
    const key = `${kind} ${metadata.namespace}`;
    if (this.allowed.has(key) || !["Server", "Pod"].includes(kind)) return;
    const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
    const may = (verb) => this.api.may({ namespace: metadata.namespace, verb, group, resource: PLURALS[kind] });
    const [patch, remove] = await Promise.all([may("patch"), may("delete")]).catch(() => [false, false]);
    this.allowed.set(key, { patch, remove });
    this.draw();
  }

  async act(work) {
    Object.assign(this, { refusal: "", busy: true, asking: false });
    this.draw();
    try {
      await work();
    } catch (refusal) {
      this.refusal = refusal.message;
    }
    this.busy = false;
    this.draw();
  }

  path() {
    return pathOf(PLURALS[this.obj.kind], this.obj.metadata.namespace, this.obj.metadata.name);
  }

  power(wanted) {
    return this.act(() => this.api.json("PATCH", this.path(), { body: { spec: { power: wanted } }, type: MERGE }));
  }

  remove() {
    // Only this one: a namesake that was made since is left alone.
    const body = { kind: "DeleteOptions", apiVersion: "v1", preconditions: { uid: this.uid } };
    return this.act(() => this.api.json("DELETE", this.path(), { body }));
  }

  draw() {
    const { obj } = this;
    if (!obj) return;
    const state = this.gone ? { word: "Gone", tone: "idle" } : stateOf(obj);
    const reason = this.gone ? "" : reasonOf(obj);
    render(this.element,
      h("header", { key: "head" },
        h("div", {}, h("small", {}, [obj.kind, obj.metadata.namespace].filter(Boolean).join(" · ")), h("h2", { tabindex: -1 }, nameOf(obj)), status(state)),
        h("button", { class: "close", "aria-label": "Close", on: { click: () => this.close() } }, icon("close"))),
      this.actions(state),
      this.refusal && h("p", { class: "refusal", role: "alert", key: "refusal" }, this.refusal),
      reason && h("div", { class: `why ${state.tone}`, key: "why" }, h("b", {}, "Why: "), reason, h("code", {}, explain(obj))),
      h("dl", { class: "facts", key: "facts" }, facts(obj).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      this.output.describe(),
      conditions(obj),
      this.events());
  }

  actions(state) {
    const may = this.allowed.get(`${this.obj.kind} ${this.obj.metadata.namespace}`);
    if (!may || this.gone || this.obj.metadata.deletionTimestamp) return null;
    const button = (words, press, more = {}) => h("button", { class: `action ${more.class || ""}`, key: words, disabled: this.busy, on: { click: press } }, icon(more.icon), words);
    if (this.asking) {
      return h("div", { class: "actions asking", key: "actions", role: "alertdialog", "aria-label": "Confirm" },
        h("span", {}, `Delete ${nameOf(this.obj)} for good?`), button("Yes, delete", () => this.remove(), { class: "danger", icon: "bin" }), button("Keep", () => this.confirm(false), { icon: "close" }));
    }
    const off = (this.obj.spec.power || "On") === "Off" || state.word === "Powered off";
    const power = this.obj.kind === "Server" && may.patch && (off ? button("Start", () => this.power("On"), { icon: "play" }) : button("Stop", () => this.power("Off"), { icon: "stop" }));
    return h("div", { class: "actions", key: "actions" }, power, may.remove && button("Delete…", () => this.confirm(true), { class: "danger", icon: "bin" }));
  }

  confirm(asking) {
    this.asking = asking;
    this.draw();
  }

  events() {
    const mine = [...this.live.all("events").values()].filter((e) => e.involvedObject.uid === this.uid);
    if (!mine.length) return null;
    mine.sort((a, b) => timeOf(b).localeCompare(timeOf(a)));
    return h("section", { key: "events" }, h("h3", {}, "Events"), h("ul", { class: "plainlist" }, mine.slice(0, MOST_EVENTS).map((e) =>
      h("li", { class: e.type === "Warning" ? "warn" : "", key: e.metadata.uid }, h("b", {}, e.reason), ` ${e.message}`, h("time", {}, ago(timeOf(e)))))));
  }
}

function conditions(obj) {
  const rows = conditionsOf(obj);
  if (!rows.length) return null;
  return h("section", { key: "conditions" }, h("h3", {}, "Conditions"), h("ul", { class: "plainlist conditions" }, rows.map((c) =>
    h("li", { key: c.type }, h("b", {}, c.type), h("span", {}, `${c.status}${c.reason ? ` · ${c.reason}` : ""}`), c.message && h("small", {}, c.message)))));
}

function explain(obj) {
  const { name, namespace } = obj.metadata;
  return `lichen explain ${obj.kind.toLowerCase()}/${name}${namespace ? ` -n ${namespace}` : ""}`;
}
