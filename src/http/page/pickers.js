// The controls: board, window, one field for each dimension, and the number of rows.

import { ask } from "./api.js";
import { isWhole, kChoices } from "./choice.js";
import { span } from "./format.js";

const byId = (id) => document.getElementById(id);

/** Shows choices, and calls `onChoice(change)` with what the reader changed. */
export class Pickers {
  #boards = [];
  #choice;
  #onChoice;
  #fields = new Map();

  constructor(onChoice) {
    this.#onChoice = onChoice;
    byId("pickers").addEventListener("submit", (event) => event.preventDefault());
    byId("board").addEventListener("change", ({ target }) => {
      const board = this.#boards.find(({ name }) => name === target.value);
      const named = board.windows.find(({ name }) => name === this.#choice.window.name);
      const k = kChoices(board).includes(this.#choice.k) ? this.#choice.k : kChoices(board)[0];
      onChoice({ board, window: named ?? board.windows[0], k, group: {} });
    });
    byId("windows").addEventListener("change", ({ target }) => {
      onChoice({ window: this.#choice.board.windows.find(({ name }) => name === target.value), past: null });
    });
    byId("charts").addEventListener("change", ({ target }) => onChoice({ chart: target.value || null }));
    byId("rises").addEventListener("change", ({ target }) => onChoice({ rise: target.value || null }));
    byId("k").addEventListener("change", ({ target }) => onChoice({ k: Number(target.value) }));
  }

  /** Shows the boards that there are. */
  offer(boards) {
    this.#boards = boards;
    options(byId("board"), boards.map(({ name }) => [name, name]));
    byId("board-field").hidden = boards.length < 2;
  }

  /** Shows what is chosen. */
  show(choice) {
    byId("pickers").hidden = false;
    const newBoard = this.#choice?.board !== choice.board;
    this.#choice = choice;
    byId("board").value = choice.board.name;
    if (newBoard) this.#offerBoard(choice.board);
    for (const input of byId("windows").querySelectorAll("input")) {
      // In the past none is, so that each of them leads back.
      input.checked = !choice.past && input.value === choice.window.name;
    }
    for (const [id, value] of [["charts", choice.chart], ["rises", choice.rise]]) {
      for (const input of byId(id).querySelectorAll("input")) input.checked = input.value === (value ?? "");
    }
    byId("k").value = String(choice.k);
    for (const [dimension, input] of this.#fields) input.value = choice.group[dimension] ?? "";
    this.#hint(choice.group);
  }

  #offerBoard(board) {
    const segments = board.windows.map(({ name, size_ms, slide_ms, calendar, timezone }) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "window", value: name });
      const text = document.createElement("span");
      text.textContent = size_ms ? span(size_ms) : name;
      const what = calendar ? "the " + calendar + " that is under way in " + timezone : "the whole input";
      label.title = name + ": " + (size_ms ? "moves on by " + span(slide_ms) : what);
      label.append(input, text);
      return label;
    });
    document.querySelector("#windows .segments").replaceChildren(...segments);
    options(byId("k"), kChoices(board).map((k) => [String(k), String(k)]));
    this.#fields = new Map();
    byId("dimensions").replaceChildren(...board.by.map((dimension, at) => this.#field(dimension, at)));
  }

  #field(dimension, at) {
    const label = document.createElement("label");
    const known = Object.assign(document.createElement("datalist"), { id: "known-" + at });
    const input = Object.assign(document.createElement("input"), { type: "search", placeholder: "all" });
    input.dataset.dimension = dimension;
    input.spellcheck = false;
    input.setAttribute("list", known.id);
    input.addEventListener("focus", () => void this.#loadGroups());
    input.addEventListener("change", () => this.#choose());
    this.#fields.set(dimension, input);
    const name = document.createElement("span");
    name.textContent = dimension;
    label.append(name, input, known);
    return label;
  }

  #choose() {
    const filled = [...this.#fields].map(([dimension, { value }]) => [dimension, value.trim()]);
    const group = Object.fromEntries(filled.filter(([, value]) => value));
    if (!this.#hint(group)) this.#onChoice({ group });
  }

  /** Says what is missing of a group; whether anything is. */
  #hint(group) {
    const missing = isWhole(this.#choice.board, group) ? [] : this.#choice.board.by.filter((name) => !group[name]);
    byId("picker-hint").hidden = missing.length === 0;
    byId("picker-hint").textContent =
      "Give " + missing.join(" and ") + " as well: a ranking is of all dimensions together, or of the whole board.";
    return missing.length > 0;
  }

  /** The values that there are, freshly: a suggestion, so that no answer is no trouble. */
  async #loadGroups() {
    const { board } = this.#choice;
    const { groups } = await ask("boards/" + encodeURIComponent(board.name)).catch(() => ({ groups: [] }));
    if (board !== this.#choice.board) return;
    for (const [dimension, input] of this.#fields) {
      const values = [...new Set(groups.map((group) => group[dimension]))];
      options(input.list, values.map((value) => [value, value]));
    }
  }
}

/** Replaces the options of a list, where they differ: one that is open stays open. */
export function options(list, wanted) {
  const have = [...list.children];
  const same = have.length === wanted.length
    && wanted.every(([value, text], at) => have[at].value === value && have[at].textContent === text);
  if (!same) list.replaceChildren(...wanted.map(([value, text]) => new Option(text, value)));
}
