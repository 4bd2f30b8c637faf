// Time travel: a slider over the time that is kept. Its right end is now.

import { make } from "./dom.js";
import { interval, lag, mark, put, shortSpan } from "./format.js";
import { options } from "./pickers.js";

const byId = (id) => document.getElementById(id);
const WIDTHS = [60_000, 600_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000];
const LEAST_STEP_MS = 1000;
/** Where times stand along the line, between which are as many steps; the last is live. */
const MARKS = [0, 0.25, 0.5, 0.75, 1];

/** Shows which time is looked at; calls `onPast(past)` with `{from, to}`, or `null` for live. */
export class Past {
  #kept = null;
  #choice = null;
  #width = 0;
  #step = LEAST_STEP_MS;
  #onPast;
  #marks = MARKS.map((part) => newMark(part));

  constructor(onPast) {
    this.#onPast = onPast;
    byId("past-marks").append(...this.#marks);
    byId("past-end").addEventListener("input", ({ target }) => this.#go(this.#endAt(Number(target.value))));
    byId("past-width").addEventListener("change", ({ target }) => {
      this.#width = Number(target.value);
      this.#go(this.#choice.past?.to ?? null);
    });
    byId("past-earlier").addEventListener("click", () => {
      this.#go((this.#choice.past?.to ?? this.#kept.to) - this.#width);
    });
    byId("past-later").addEventListener("click", () => this.#go(this.#choice.past.to + this.#width));
    byId("past-live").addEventListener("click", () => {
      onPast(null);
      byId("past-end").focus();
    });
  }

  /** What is kept, of a status; `null` for nothing. */
  keep(kept) {
    this.#kept = kept;
    this.#draw();
  }

  /** What is chosen. */
  show(choice) {
    const sameWindow = this.#choice?.window === choice.window;
    this.#choice = choice;
    const slides = choice.board.windows.map(({ slide_ms }) => slide_ms).filter(Boolean);
    this.#step = slides.length > 0 ? Math.max(LEAST_STEP_MS, Math.min(...slides)) : LEAST_STEP_MS;
    if (choice.past) this.#width = choice.past.to - choice.past.from;
    else if (!sameWindow || !this.#width) this.#width = choice.window.size_ms ?? this.#step;
    this.#draw();
  }

  /** The first end that can be chosen, and how many there are; the one after the last is live. */
  #ends() {
    const step = this.#step;
    const first = Math.floor(this.#kept.from / step) * step + step;
    return { first, count: Math.max(0, Math.floor((this.#kept.to - first) / step) + 1) };
  }

  #endAt(position) {
    const { first, count } = this.#ends();
    return position >= count ? null : first + position * this.#step;
  }

  #go(end) {
    if (end === null || end > this.#kept.to) {
      this.#onPast(null);
      return;
    }
    const to = Math.max(this.#ends().first, end);
    this.#onPast({ from: Math.max(this.#kept.from, to - this.#width), to });
  }

  #draw() {
    if (!this.#choice) return;
    const { past } = this.#choice;
    const some = this.#kept !== null && this.#ends().count > 0;
    byId("past").hidden = !some && !past;
    byId("past").dataset.live = String(!past);
    for (const id of ["past-live", "past-later", "past-width-field"]) byId(id).hidden = !past;
    for (const id of ["past-end", "past-earlier"]) byId(id).disabled = !some;
    byId("past-later").disabled = !some;
    const reach = some ? " over " + lag((this.#kept.to - this.#kept.from) / 1000) : "";
    put(byId("past-label"), past ? "Showing " + interval(past.from, past.to) : "Look back" + reach);
    if (!some) return;
    const { first, count } = this.#ends();
    const slider = byId("past-end");
    slider.max = String(count);
    slider.value = String(past ? Math.round((past.to - first) / this.#step) : count);
    slider.setAttribute("aria-valuetext", past ? interval(past.from, past.to) : "live");
    slider.style.setProperty("--at", String(Number(slider.value) / count));
    this.#drawMarks(first, count);
    this.#offerWidths();
  }

  /** The times along the line, so that one sees where to. */
  #drawMarks(first, count) {
    const last = first + count * this.#step;
    for (const [at, part] of MARKS.entries()) {
      const end = first + Math.round(count * part) * this.#step;
      put(this.#marks[at], part === 1 ? "live" : mark(end, last - first));
      // Of a few steps, several would say the same.
      this.#marks[at].hidden = part > 0 && part < 1 && count < MARKS.length;
    }
  }

  #offerWidths() {
    const kept = this.#kept.to - this.#kept.from;
    const sizes = this.#choice.board.windows.map(({ size_ms }) => size_ms).filter(Boolean);
    const fitting = [...WIDTHS, ...sizes].filter((width) => width <= kept && width % this.#step === 0);
    const widths = [...new Set([...fitting, this.#width])].sort((a, b) => a - b);
    options(byId("past-width"), widths.map((width) => [String(width), shortSpan(width)]));
    byId("past-width").value = String(this.#width);
  }
}

function newMark(part) {
  const element = make("span", part === 0.25 || part === 0.75 ? "between" : "");
  element.style.setProperty("--part", String(part));
  return element;
}
