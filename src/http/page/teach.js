// What an empty page shows: the command that posts the first event.

import { hasToken } from "./api.js";

const byId = (id) => document.getElementById(id);
/** The command's timestamp is never older, and a reader who marks the text has the time to. */
const RENEW_MS = 20_000;

/** An event that the board counts: its filter's first values, and a value for each dimension. */
function sample(board, now) {
  const fields = { item_id: "hello", event_type: "view" };
  for (const [name, values] of Object.entries(board.filter ?? {})) fields[name] = values[0];
  for (const dimension of board.by) fields[dimension] ??= dimension === "region" ? "IN" : "one";
  return JSON.stringify({ ...fields, timestamp: Math.floor(now / 1000) });
}

/** The command, as a shell takes it. */
function command(board, now) {
  const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
  const lines = [
    "curl " + quoted(new URL("events", location.href).href),
    "  -H " + quoted("Content-Type: application/json"),
    ...(hasToken() ? ['  -H "Authorization: Bearer $TOKEN"'] : []),
    "  -d " + quoted(sample(board, now)),
  ];
  return lines.join(" \\\n");
}

/** The panel with the command. */
export class Teach {
  #board = null;
  #renewed = 0;

  constructor() {
    byId("teach-copy").addEventListener("click", () => void this.#copy());
  }

  /** Shows the command for a board; `null` hides it. */
  show(board) {
    byId("teach").hidden = board === null;
    const now = Date.now();
    if (board !== null && (board !== this.#board || now - this.#renewed > RENEW_MS)) {
      this.#renewed = now;
      byId("teach-command").textContent = command(board, now);
    }
    this.#board = board;
  }

  async #copy() {
    const text = command(this.#board, Date.now());
    byId("teach-command").textContent = text;
    // Browsers lend the clipboard to pages of this machine and of TLS only.
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(byId("teach-command"));
    byId("teach-copied").textContent = copied ? "Copied." : "Marked: copy it with your keyboard.";
  }
}
