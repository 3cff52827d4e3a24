// SPDX-License-Identifier: Apache-2.0
// The first page: name, password and project, or a token that one has already.

import { h, render } from "./dom.js";
import { withPassword, withToken } from "./session.js";

/** Draw into `element`; entered(session) once the cloud knows who it is. words: why one has to log in again. */
export function askWhoItIs(element, words, entered) {
  const state = { words, refusal: "", busy: false, byToken: false };
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    Object.assign(state, { busy: true, refusal: "" });
    draw();
    try {
      entered(await (state.byToken ? withToken(given.token) : withPassword(given)));
    } catch (refusal) {
      Object.assign(state, { busy: false, refusal: said(refusal, state.byToken) });
      draw();
    }
  };
  const turn = () => {
    Object.assign(state, { byToken: !state.byToken, refusal: "" });
    draw();
    element.querySelector("input, textarea").focus();
  };
  const draw = () => render(element, form(state, submit, turn));
  draw();
  element.querySelector("input")?.focus();
}

function said(refusal, byToken) {
  if (refusal.code !== 401) return refusal.message;
  return byToken ? "This token is not valid, or has expired." : "Name, password or project is not right.";
}

function form({ words, refusal, busy, byToken }, submit, turn) {
  return h("form", { class: "login card", on: { submit }, "aria-busy": String(busy) },
    h("h1", {}, h("svg", { class: "mark", viewBox: "0 0 32 32", "aria-hidden": "true" }, h("use", { href: "#i-mark" })), "Lichen"),
    words && h("p", { class: "hint", key: "words" }, words),
    byToken
      ? h("div", { class: "fields", key: "token" }, field("Token", h("textarea", { name: "token", rows: 5, required: true, spellcheck: "false", autocomplete: "off" })),
        h("p", { class: "hint" }, "From ", h("code", {}, "openstack token issue -f value -c id"), ", or a service account’s."))
      : h("div", { class: "fields", key: "password" },
        field("Name", h("input", { name: "user", required: true, autocomplete: "username", autocapitalize: "none", spellcheck: "false" })),
        field("Password", h("input", { name: "password", type: "password", required: true, autocomplete: "current-password" })),
        field("Project", h("input", { name: "project", placeholder: "any of mine", autocapitalize: "none", spellcheck: "false" })),
        h("details", {}, h("summary", {}, "Another domain"), field("Domain", h("input", { name: "domain", placeholder: "Default", autocapitalize: "none", spellcheck: "false" })))),
    refusal && h("p", { class: "refusal", role: "alert", key: "refusal" }, refusal),
    h("button", { class: "primary", disabled: busy, key: "enter" }, busy ? "One moment…" : "Enter"),
    h("button", { class: "quiet", type: "button", key: "turn", on: { click: turn } }, byToken ? "With name and password instead" : "With a token instead"),
    h("p", { class: "hint", key: "where" }, "The passwords of a new cloud are in ", h("code", {}, "lichen clouds"), "."));
}

const field = (words, input) => h("label", {}, h("span", {}, words), input);
