// SPDX-License-Identifier: Apache-2.0
// What the page is drawn with: descriptions of elements, and bringing the document in line with them. Elements keep
// their identity, and so focus and scrolling survive. Text is only ever text: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element's description. props: `on` {event: handler}, `key`, `style` {custom
 *  property: value}, `mount` (an element kept by the caller; with `opaque`: what is inside is not ours), and attributes. */
export function h(tag, props, ...children) {
  return { tag, props: props || {}, children: children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false && c !== "") };
}

/** Bring the children of `element` in line with what is described. */
export function render(element, ...children) {
  reconcile(element, h("", null, ...children).children, element.namespaceURI === SVG);
}

function make(what, inSvg) {
  if (typeof what !== "object") return document.createTextNode(String(what));
  const svg = inSvg || what.tag === "svg";
  const element = svg ? document.createElementNS(SVG, what.tag) : document.createElement(what.tag);
  element.described = { props: {}, key: what.props.key, tag: what.tag };
  update(element, what, svg);
  return element;
}

function update(node, what, inSvg) {
  if (typeof what !== "object") {
    if (node.data !== String(what)) node.data = String(what);
    return;
  }
  const before = node.described.props;
  for (const name of Object.keys(before)) if (!(name in what.props)) clear(node, name);
  for (const [name, value] of Object.entries(what.props)) if (before[name] !== value) set(node, name, value);
  node.described.props = what.props;
  if (!what.props.opaque) reconcile(node, what.children, inSvg || what.tag === "svg");
  if ("value" in what.props && node.value !== what.props.value) node.value = what.props.value; // of a select: after its options
}

function set(node, name, value) {
  if (name === "key" || name === "opaque" || name === "value") return;
  if (name === "on") listen(node, value);
  else if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
  else if (name === "mount") node.replaceChildren(value);
  else if (value === false || value === null || value === undefined) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : String(value));
}

function clear(node, name) {
  if (name === "on") node.handlers = {};
  else node.removeAttribute(name);
}

function listen(node, handlers) {
  const known = node.handlers || {};
  node.handlers = handlers;
  for (const type of Object.keys(handlers)) {
    if (!(type in known)) node.addEventListener(type, (event) => node.handlers[type]?.(event));
  }
}

function reconcile(parent, wanted, inSvg) {
  const keyed = new Map();
  for (const node of parent.childNodes) if (node.described?.key !== undefined) keyed.set(node.described.key, node);
  let here = parent.firstChild;
  for (const what of wanted) {
    const key = what.props?.key;
    const found = key === undefined ? (here && fits(here, what) ? here : null) : keyed.get(key);
    if (found && fits(found, what)) {
      if (found === here) here = here.nextSibling;
      else parent.insertBefore(found, here);
      update(found, what, inSvg);
    } else {
      parent.insertBefore(make(what, inSvg), here);
    }
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

function fits(node, what) {
  if (typeof what !== "object") return node.nodeType === Node.TEXT_NODE;
  return node.described?.tag === what.tag && node.described.key === what.props.key;
}
