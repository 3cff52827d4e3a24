// SPDX-License-Identifier: Apache-2.0
// What a thing says: a server's console, a pod's log, followed as it is written.

import { pathOf } from "./api.js";
import { h } from "./dom.js";
import { Typing, rubbedOut, sentBy } from "./typing.js";

const LINES = 300;
const MOST = 200_000; // characters that are kept
const CONTROL = /\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]/g;

const statusesOf = (pod) => pod.status?.containerStatuses || [];
/** What changes when a thing that had said all may say more. */
const started = (obj) => JSON.stringify([obj.spec.node, obj.status?.phase, ...statusesOf(obj).map((c) => [c.restartCount, Object.keys(c.state || {})])]);

/** Whether there is a log to be asked for. */
function hasStarted(pod, container) {
  const found = statusesOf(pod).find((c) => c.name === container);
  return Boolean(found?.state?.running || found?.state?.terminated || found?.lastState?.terminated);
}

export class Output {
  constructor(api, redraw) {
    Object.assign(this, { api, redraw, obj: null, note: "", container: "" });
    this.pre = document.createElement("pre");
    this.pre.tabIndex = 0; // it scrolls: the keyboard must reach it
    this.typing = new Typing(api, (words) => this.say(words));
    this.pre.addEventListener("keydown", (event) => this.typed(event, sentBy(event, String(getSelection()))));
    this.pre.addEventListener("paste", (event) => this.typed(event, event.clipboardData.getData("text").replace(/\r?\n/g, "\r")));
  }

  show(obj) {
    this.stop();
    this.obj = obj;
    this.container = obj.kind === "Pod" ? obj.spec.containers[0].name : "";
    this.read();
  }

  /** A newer state of the same thing: it may have started meanwhile. */
  changed(obj) {
    const again = this.ended && !obj.metadata.deletionTimestamp && started(obj) !== started(this.obj);
    this.obj = obj;
    if (again) this.read();
  }

  stop() {
    this.ending?.abort();
    this.typing.close();
    this.obj = null;
    this.clear();
  }

  clear() {
    this.pre.textContent = "";
    this.pre.hidden = true;
  }

  async read() {
    if (!["Server", "Pod"].includes(this.obj?.kind)) return;
    this.ending?.abort();
    const ending = (this.ending = new AbortController());
    this.ended = false;
    try {
      await (this.obj.kind === "Server" ? this.readConsole(ending.signal) : this.readLog(ending.signal));
    } catch (refusal) {
      if (ending.signal.aborted) return;
      this.say(refusal.message);
    }
    if (!ending.signal.aborted) this.ended = true;
  }

  async readConsole(signal) {
    const { namespace, name } = this.obj.metadata;
    if (!this.obj.spec.node) return this.say("The server has no host yet, and so no console.");
    await this.follow(`${pathOf("servers", namespace, name, "log")}?follow=true&tail=${LINES}`, signal);
  }

  async readLog(signal) {
    const { namespace, name } = this.obj.metadata;
    if (!hasStarted(this.obj, this.container)) return this.say(`Container ${this.container} has not started yet.`);
    const query = new URLSearchParams({ follow: "true", tailLines: LINES, container: this.container });
    await this.follow(`${pathOf("pods", namespace, name, "log")}?${query}`, signal);
  }

  async follow(path, signal) {
    const answer = await this.api.ask("GET", path, { signal });
    this.say("Nothing has been written yet.");
    let first = true;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let { done, value } = await reader.read(); !done && !signal.aborted; { done, value } = await reader.read()) {
      if (!value) continue;
      this.write(value, first);
      this.say("");
      first = false;
    }
  }

  typed(event, keys) {
    if (!keys || !this.takesInput) return;
    event.preventDefault();
    const { namespace, name } = this.obj.metadata;
    this.typing.type(pathOf("servers", namespace, name, "attach"), keys);
  }

  get takesInput() {
    return this.obj?.kind === "Server" && this.obj.status?.phase === "Running";
  }

  write(text, afresh) {
    const atEnd = this.pre.scrollHeight - this.pre.scrollTop - this.pre.clientHeight < 24;
    const kept = afresh ? "" : this.pre.textContent;
    this.pre.textContent = rubbedOut(kept + text.replace(/\r\n?/g, "\n").replace(CONTROL, "")).slice(-MOST);
    this.pre.hidden = !this.pre.textContent;
    if (atEnd || afresh) this.pre.scrollTop = this.pre.scrollHeight;
  }

  say(note) {
    if (this.note === note) return;
    this.note = note;
    this.redraw();
  }

  describe() {
    if (!["Server", "Pod"].includes(this.obj?.kind)) return null;
    const console_ = this.obj.kind === "Server";
    const names = console_ ? [] : this.obj.spec.containers.map((c) => c.name);
    return h("section", { class: "output", key: "output" },
      h("h3", {}, console_ ? "Console" : "Log",
        names.length > 1 && h("select", { "aria-label": "Container", value: this.container, on: { change: (e) => this.choose(e.target.value) } }, names.map((name) => h("option", { value: name }, name))),
      ),
      this.note && h("p", { class: "hint", key: "note" }, this.note),
      this.takesInput && h("p", { class: "hint", key: "typing" }, "Click on it and type. Shift+Tab leaves."),
      h("div", { class: "screen", opaque: true, key: "screen", mount: this.pre }));
  }

  choose(container) {
    this.container = container;
    this.clear();
    this.read();
  }
}
