// The controls: board, window, group, and the number of rows.

import { ask } from "./api.js";
import { isWhole, kChoices } from "./choice.js";
import { make } from "./dom.js";
import { number, put, span } from "./format.js";
import { plain } from "./names.js";

const byId = (id) => document.getElementById(id);

/** In place of a group, in the list: one that is typed. */
const ANOTHER = "another";

/** Shows choices, and calls `onChoice(change)` with what the reader changed. */
export class Pickers {
  #boards = [];
  #choice;
  #onChoice;
  #fields = new Map();
  #groups = [];
  /** How many groups there are beyond the list. */
  #unlisted = 0;
  #typing = false;

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
    byId("chart").addEventListener("change", ({ target }) => onChoice({ chart: target.value || null }));
    byId("rise").addEventListener("change", ({ target }) => onChoice({ rise: target.value || null }));
    byId("k").addEventListener("change", ({ target }) => onChoice({ k: Number(target.value) }));
    byId("group").addEventListener("change", ({ target }) => this.#chooseListed(target.value));
    byId("group").addEventListener("focus", () => void this.#loadGroups());
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
    byId("chart").value = choice.chart ?? "";
    byId("rise").value = choice.rise ?? "";
    byId("k").value = String(choice.k);
    for (const [dimension, input] of this.#fields) input.value = choice.group[dimension] ?? "";
    this.#list();
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
    [this.#groups, this.#unlisted] = [[], 0];
    this.#type(false);
    byId("dimensions").replaceChildren(...board.by.map((dimension) => this.#field(dimension)));
    byId("group-field").hidden = board.by.length === 0;
    put(byId("group-name"), board.by.join(" · "));
    void this.#loadGroups();
  }

  /** A field for a value of a dimension that is not among the groups of the list. */
  #field(dimension) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "search" });
    input.dataset.dimension = dimension;
    input.spellcheck = false;
    input.addEventListener("change", () => this.#chooseTyped());
    this.#fields.set(dimension, input);
    label.append(make("span", "", dimension), input);
    return label;
  }

  #chooseListed(value) {
    this.#type(value === ANOTHER);
    if (this.#typing) this.#fields.values().next().value?.focus();
    else this.#onChoice({ group: value ? JSON.parse(value) : {} });
  }

  #type(typing) {
    this.#typing = typing;
    byId("dimensions").hidden = !typing;
  }

  #chooseTyped() {
    const filled = [...this.#fields].map(([dimension, { value }]) => [dimension, value.trim()]);
    const group = Object.fromEntries(filled.filter(([, value]) => value));
    if (this.#hint(group)) return;
    this.#type(false);
    byId("group").focus();
    this.#onChoice({ group });
  }

  /** Says what is missing of a group; whether anything is. */
  #hint(group) {
    const missing = isWhole(this.#choice.board, group) ? [] : this.#choice.board.by.filter((name) => !group[name]);
    byId("picker-hint").hidden = missing.length === 0;
    byId("picker-hint").textContent =
      "Give " + missing.join(" and ") + " as well: a ranking is of all dimensions together, or of the whole board.";
    return missing.length > 0;
  }

  /** The groups that there are, freshly; the list stays as it is where there is no answer. */
  async #loadGroups() {
    const { board } = this.#choice;
    if (board.by.length === 0) return;
    const answer = await ask("boards/" + encodeURIComponent(board.name)).catch(() => null);
    if (answer === null || board !== this.#choice.board) return;
    this.#groups = answer.groups;
    this.#unlisted = answer.groups_total - answer.groups.length;
    this.#list();
  }

  /** The list: the whole board, its groups from the largest on, and what is chosen where it is none of these. */
  #list() {
    const { board, group } = this.#choice;
    const keyOf = (of) => JSON.stringify(Object.fromEntries(board.by.map((dimension) => [dimension, of[dimension]])));
    const chosen = Object.keys(group).length > 0 ? keyOf(group) : "";
    const named = (of) => board.by.map((dimension) => plain(of[dimension])).join(" · ");
    const wanted = [["", "The whole board"], ...this.#groups.map((of) => [keyOf(of), named(of)])];
    if (!wanted.some(([key]) => key === chosen)) wanted.push([chosen, named(group)]);
    const more = this.#unlisted > 0 ? ", one of " + number(this.#unlisted) + " more" : "";
    wanted.push([ANOTHER, "Another" + more + " …"]);
    options(byId("group"), wanted);
    byId("group").value = this.#typing ? ANOTHER : chosen;
  }
}

/** Replaces the options of a list, where they differ: one that is open stays open. */
export function options(list, wanted) {
  const have = [...list.children];
  const same = have.length === wanted.length
    && wanted.every(([value, text], at) => have[at].value === value && have[at].textContent === text);
  if (!same) list.replaceChildren(...wanted.map(([value, text]) => new Option(text, value)));
}
