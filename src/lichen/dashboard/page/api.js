// SPDX-License-Identifier: Apache-2.0
// The Kubernetes API, as one more client of it: requests with a bearer token, and errors with a code and words.

export const KINDS = {
  namespaces: "/api/v1", nodes: "/api/v1", pods: "/api/v1", events: "/api/v1", resourcequotas: "/api/v1",
  servers: "/apis/compute.lichen.dev/v1",
  networks: "/apis/network.lichen.dev/v1", subnets: "/apis/network.lichen.dev/v1", ports: "/apis/network.lichen.dev/v1",
  routers: "/apis/network.lichen.dev/v1", floatingips: "/apis/network.lichen.dev/v1",
};

/** What the API answered instead: `code` 0 if it did not answer at all. */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Path of a collection, or of one object in it. */
export function pathOf(plural, namespace = "", name = "", subresource = "") {
  const parts = [namespace && `namespaces/${encodeURIComponent(namespace)}`, plural, name && encodeURIComponent(name), subresource];
  return [KINDS[plural], ...parts.filter(Boolean)].join("/");
}

export class Api {
  constructor(token = "") {
    this.token = token;
  }

  /** The answer to a request, its body unread. Refused. */
  async ask(method, path, { body, type = "application/json", signal } = {}) {
    const headers = { Accept: "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers["Content-Type"] = type;
    let answer;
    try {
      answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store", credentials: "omit" });
    } catch (fault) {
      if (signal?.aborted) throw fault;
      throw new Refused(0, "The cloud does not answer.");
    }
    if (!answer.ok) throw new Refused(answer.status, await words(answer));
    return answer;
  }

  async json(method, path, options) {
    return (await this.ask(method, path, options)).json();
  }

  get(path, signal) {
    return this.json("GET", path, { signal });
  }

  /** Create one of the identity kinds that are answered and not kept: Token, ScopeReview… */
  identity(plural, kind, spec) {
    const body = { apiVersion: "identity.lichen.dev/v1", kind, metadata: {}, spec };
    return this.json("POST", `/apis/identity.lichen.dev/v1/${plural}`, { body });
  }

  /** Whether this user may: {verb, resource, group, namespace}. */
  async may(resourceAttributes) {
    const body = { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview", metadata: {}, spec: { resourceAttributes } };
    return (await this.json("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", { body })).status.allowed;
  }

  /** A WebSocket on the API. A browser lets a page set no header on it: the token is among the subprotocols. */
  socket(path, protocol = "watch.k8s.io") {
    const borne = btoa(this.token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return new WebSocket(`wss://${location.host}${path}`, [`base64url.bearer.authorization.k8s.io.${borne}`, protocol]);
  }
}

async function words(answer) {
  try {
    return (await answer.json()).message || answer.statusText;
  } catch {
    return answer.statusText || `The API answered ${answer.status}.`;
  }
}
