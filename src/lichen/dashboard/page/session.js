// SPDX-License-Identifier: Apache-2.0
// Who looks: logging in as any client does, and what the token is for. Kept in sessionStorage: it ends with the tab.

import { Api, pathOf } from "./api.js";

const KEPT = "lichen.session";
const PROJECT_ID = "identity.lichen.dev/project-id";

/** The session of this tab, null if nobody is logged in. */
export function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

export function keep(session) {
  sessionStorage.setItem(KEPT, JSON.stringify(session));
}

export function forget() {
  sessionStorage.removeItem(KEPT);
}

/** A session from a name and a password; without a project: one that the user has a role in. Refused. */
export async function withPassword({ user, password, project, domain }) {
  const spec = {
    methods: ["password"],
    password: { userName: user, userDomainName: domain || "Default", password },
    scope: project ? { projectName: project, domainName: domain || "Default" } : { unscoped: true },
  };
  const answer = await new Api().identity("tokens", "Token", spec);
  return withToken(answer.status.token);
}

/** A session from a token of any kind: of `openstack token issue`, or a service account's. Refused. */
export async function withToken(token) {
  const api = new Api(token.trim());
  const who = await whoIs(api);
  if (who.unscoped) return toProject(api.token, preferred(who));
  const [everything, nodes] = await Promise.all(["pods", "nodes"].map((resource) => api.may({ verb: "list", resource })));
  return { token: api.token, everything, nodes, ...who };
}

/** The same user's session for another project. Refused. */
export async function toProject(token, namespace) {
  const api = new Api(token);
  const project = await api.get(pathOf("namespaces", "", namespace));
  const spec = { methods: ["token"], token, scope: { projectId: project.metadata.labels?.[PROJECT_ID] || "" } };
  return withToken((await api.identity("tokens", "Token", spec)).status.token);
}

/** The token ends here and everywhere. */
export async function leave(session) {
  forget();
  await new Api(session.token).identity("tokenrevocations", "TokenRevocation", { token: session.token }).catch(() => {});
}

async function whoIs(api) {
  let told;
  try {
    told = (await api.identity("tokeninspections", "TokenInspection", { token: api.token })).status;
  } catch (refusal) {
    if (refusal.code !== 404 && refusal.code !== 403) throw refusal;
    return anotherBearer(api);
  }
  const namespaces = (await api.identity("scopereviews", "ScopeReview", {})).status?.namespaces || [];
  const roles = (told.roles || []).map((role) => role.name);
  const unscoped = !told.project && !told.domain && !told.system && namespaces.length > 0;
  return { user: told.user.name, roles, namespaces, unscoped, namespace: await namespaceOf(api, told.project, namespaces), expiresAt: told.expiresAt };
}

/** A service account, or one of the cloud's own: the namespace is in its name, if it has one. */
async function anotherBearer(api) {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview", metadata: {} };
  const told = await api.json("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", { body });
  const user = told.status.userInfo.username;
  const [, , namespace = ""] = user.startsWith("system:serviceaccount:") ? user.split(":") : [];
  return { user, roles: [], namespaces: namespace ? [namespace] : [], namespace, unscoped: false, expiresAt: "" };
}

/** The namespace of a token's project: the one of the user's that bears its id. */
async function namespaceOf(api, project, namespaces) {
  if (!project) return "";
  if (namespaces.includes(project.name)) return project.name;
  for (const name of namespaces) {
    const found = await api.get(pathOf("namespaces", "", name));
    if (found.metadata.labels?.[PROJECT_ID] === project.id) return name;
  }
  return project.name;
}

function preferred({ namespaces }) {
  return namespaces.includes("admin") ? "admin" : namespaces[0];
}

