// SPDX-License-Identifier: Apache-2.0
// What the cloud has, kept up to date: a list, then a watch from its revision on, over a WebSocket of each kind (a
// browser opens no more than six plain connections to a host). A cut watch goes on where it was; a revision that is
// no longer known means to list again.

import { Refused, pathOf } from "./api.js";

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 8_000;
const BRIEF = 500; // a watch that ended sooner is asked for again after a pause
const SILENCE = 75_000; // of a watch that was asked to send bookmarks: longer means that the connection is dead

/** Where the objects of a session come from. Forbidden ones stay empty. */
export function sources(session) {
  const here = session.everything ? "" : session.namespace;
  const own = ["networks", "servers", "pods", "ports", "subnets", "routers", "floatingips", "resourcequotas", "events"];
  const found = own.map((plural) => ({ plural, namespace: here }));
  const nodes = session.nodes ? [{ plural: "nodes" }] : [];
  if (session.everything) return [{ plural: "namespaces" }, ...nodes, ...found];
  const shared = ["spec.shared=true", "spec.external=true"].map((fields) => ({ plural: "networks", fields }));
  return [...shared, ...nodes, ...(here ? found : [])];
}

/** All objects of a session. changed(): something did; lost(refusal): the session has ended. */
export class Live {
  constructor(api, session, { changed, lost }) {
    this.api = api;
    this.session = session;
    this.changed = changed;
    this.lost = lost;
    this.ending = new AbortController();
    this.followers = sources(session).map((source) => new Follower(this, source));
    this.merged = new Map();
    this.foreign = new Map(); // subnets of other projects' shared networks: read once, with the network
  }

  start() {
    for (const follower of this.followers) if (follower.source.plural !== "events") follower.run();
    for (const type of ["online", "visibilitychange", "pageshow"]) {
      addEventListener(type, () => this.followers.forEach((f) => f.wake()), { signal: this.ending.signal });
    }
  }

  stop() {
    this.ending.abort();
    for (const follower of this.followers) follower.wake();
  }

  /** Events come last: there are many, and the map does not wait for them. */
  startEvents() {
    if (this.eventsRun || !this.listed) return;
    this.eventsRun = true;
    for (const follower of this.followers) if (follower.source.plural === "events") follower.run();
  }

  touch(plural) {
    this.merged.delete(plural);
    if (plural === "networks" && !this.session.everything) this.readForeign();
    this.startEvents();
    this.changed();
  }

  /** All objects of a kind, by uid. */
  all(plural) {
    let found = this.merged.get(plural);
    if (!found) {
      const same = this.followers.filter((f) => f.source.plural === plural);
      const foreign = plural === "subnets" ? [...this.foreign.values()].flat().map((subnet) => [subnet.metadata.uid, subnet]) : [];
      found = same.length === 1 && !foreign.length ? same[0].objects : new Map([...foreign, ...same.flatMap((f) => [...f.objects])]);
      this.merged.set(plural, found);
    }
    return found;
  }

  async readForeign() {
    for (const { spec, metadata } of this.all("networks").values()) {
      if (!spec.shared || metadata.namespace === this.session.namespace || this.foreign.has(spec.id)) continue;
      this.foreign.set(spec.id, []);
      const query = new URLSearchParams({ fieldSelector: `spec.networkId=${spec.id}` });
      const found = await this.api.get(`${pathOf("subnets")}?${query}`, this.ending.signal).catch(() => null);
      if (!found) continue;
      this.foreign.set(spec.id, found.items);
      this.touch("subnets");
    }
  }

  may(plural) {
    return this.followers.some((f) => f.source.plural === plural && f.state !== "forbidden");
  }

  /** live, loading, or lost: some watch is cut and being mended. */
  get state() {
    const states = this.followers.map((f) => f.state).filter((state) => state !== "forbidden");
    if (states.includes("lost")) return "lost";
    return states.some((state) => state === "loading") ? "loading" : "live";
  }

  /** Every list that may be seen has come at least once. */
  get listed() {
    return this.followers.every((f) => f.listed || f.state === "forbidden" || f.source.plural === "events");
  }
}

class Follower {
  constructor(live, source) {
    this.live = live;
    this.source = source;
    this.objects = new Map();
    this.state = "loading";
    this.revision = "";
    this.listed = false;
    this.wake = () => {};
  }

  get over() {
    return this.live.ending.signal.aborted;
  }

  async run() {
    for (let failures = 0; !this.over; ) {
      try {
        if (!this.revision) await this.list();
        const milliseconds = await this.watch();
        failures = milliseconds < BRIEF ? failures + 1 : 0;
        // A browser does not say why a socket was refused; an answer does.
        if (!milliseconds && !this.over) await this.live.api.get(this.path({ limit: 1 }), this.live.ending.signal);
      } catch (refusal) {
        if (this.over) return;
        if (!(refusal instanceof Refused)) throw refusal;
        if (refusal.code === 401) return this.live.lost(refusal);
        if (refusal.code === 403 || refusal.code === 404) return this.move("forbidden");
        failures += 1;
      }
      if (this.over) return;
      if (failures) {
        this.move("lost");
        await this.pause(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1)) * (0.75 + Math.random() / 2));
      }
    }
  }

  move(state) {
    if (this.state === state) return;
    this.state = state;
    this.live.startEvents();
    this.live.changed();
  }

  pause(milliseconds) {
    return new Promise((done) => {
      const timer = setTimeout(done, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  path(query) {
    const asked = new URLSearchParams(query);
    if (this.source.fields) asked.set("fieldSelector", this.source.fields);
    return `${pathOf(this.source.plural, this.source.namespace)}?${asked}`;
  }

  async list() {
    const found = await this.live.api.get(this.path({}), this.live.ending.signal);
    this.objects = new Map(found.items.map((obj) => [obj.metadata.uid, obj]));
    this.revision = found.metadata.resourceVersion;
    this.listed = true;
    this.live.touch(this.source.plural);
  }

  /** Follow changes until the socket closes. For how many milliseconds it was open. */
  watch() {
    return new Promise((done) => {
      let opened = 0;
      const socket = this.live.api.socket(this.path({ watch: "true", resourceVersion: this.revision, allowWatchBookmarks: "true" }));
      let last = Date.now();
      this.wake = () => {
        if (this.over || Date.now() - last > SILENCE) socket.close();
      };
      socket.onopen = () => {
        opened = last = Date.now();
        this.move("live");
      };
      socket.onmessage = (message) => {
        last = Date.now();
        this.take(JSON.parse(message.data));
      };
      socket.onclose = () => {
        this.wake = () => {};
        done(opened ? Math.max(1, Date.now() - opened) : 0);
      };
    });
  }

  take({ type, object }) {
    if (type === "ERROR") {
      this.revision = "";
      return;
    }
    this.revision = object.metadata.resourceVersion;
    if (type === "BOOKMARK") return;
    if (type === "DELETED") this.objects.delete(object.metadata.uid);
    else this.objects.set(object.metadata.uid, object);
    this.live.touch(this.source.plural);
  }
}
