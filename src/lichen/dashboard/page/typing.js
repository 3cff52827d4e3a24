// SPDX-License-Identifier: Apache-2.0
// Typing on a server's console: keys become what a terminal would send. What the server says comes with its log.

const STDIN = 0;
const ERROR = 3;
const NAMED = {
  Enter: "\r", Backspace: "\x7f", Tab: "\t", Delete: "\x1b[3~", Home: "\x1b[H", End: "\x1b[F",
  ArrowUp: "\x1b[A", ArrowDown: "\x1b[B", ArrowRight: "\x1b[C", ArrowLeft: "\x1b[D",
};

/** What a key sends; "" if it is not for the server. Shift+Tab leaves, as the keyboard needs a way out. */
export function sentBy({ key, ctrlKey, altKey, metaKey, shiftKey }, selected) {
  if (altKey || metaKey || (key === "Tab" && shiftKey)) return "";
  if (!ctrlKey) return NAMED[key] || (key.length === 1 ? key : "");
  if (!/^[a-z]$/i.test(key) || /^v$/i.test(key) || (/^c$/i.test(key) && selected)) return "";
  return String.fromCharCode(key.toUpperCase().charCodeAt(0) - 64);
}

/** Text as it looks when what was rubbed out is gone. */
export function rubbedOut(text) {
  for (let before = ""; before !== text; ) [before, text] = [text, text.replace(/[^\n\b]\x08 \x08/g, "")];
  return text;
}

export class Typing {
  /** say(words): something is wrong. */
  constructor(api, say) {
    Object.assign(this, { api, say, waiting: [] });
  }

  type(path, text) {
    if (!this.socket) this.open(path);
    const message = new Uint8Array([STDIN, ...new TextEncoder().encode(text)]);
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(message);
    else this.waiting.push(message);
  }

  open(path) {
    const socket = (this.socket = this.api.socket(path, "v5.channel.k8s.io"));
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => this.waiting.splice(0).forEach((message) => socket.send(message)));
    socket.addEventListener("message", ({ data }) => this.hear(new Uint8Array(data)));
    socket.addEventListener("close", () => {
      if (this.socket === socket) this.close();
    });
  }

  hear(message) {
    if (message[0] !== ERROR) return;
    const status = JSON.parse(new TextDecoder().decode(message.subarray(1)));
    if (status.status === "Failure") this.say(status.message);
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    this.waiting = [];
    socket?.close();
  }
}
