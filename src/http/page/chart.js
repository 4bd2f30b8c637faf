// A chart: lines over time, each with the band of its bounds, and a slider that reads one step of it.

import { bandOf, interval, mark, number, put } from "./format.js";

const HEIGHT = 240;
const EDGE = { top: 12, right: 12, bottom: 26, left: 12 };
/** The width of a digit of the scale, in pixels. */
const DIGIT = 7.5;
const SCALE_LINES = 4;
/** From how many pixels on there is room for times between the first and the last. */
const WIDE = 600;

/** The points of an answer as columns: their times, and for each id its counts. A step that is not over is left out. */
export function columnsOf({ points, step_ms }, ids) {
  const whole = points.filter((point) => point.window_end - point.window_start === step_ms);
  const kept = whole.length > 0 ? whole : points;
  const times = [];
  const lines = new Map(ids.map((id) => [id, []]));
  for (const point of kept) {
    if (times.at(-1)?.from !== point.window_start) times.push({ from: point.window_start, to: point.window_end });
    lines.get(point.item_id ?? ids[0])?.push(point);
  }
  return { times, lines: ids.map((id) => lines.get(id)) };
}

/** A picture of lines in a figure, with the slider below it. */
export class Chart {
  #svg = shape("svg", { height: HEIGHT, role: "img" });
  #slider = document.createElement("input");
  #read = document.createElement("p");
  #times = [];
  #lines = [];
  #at = null;
  #onRead;

  /** `onRead(at)` is told which step is read, by its number. */
  constructor(figure, onRead) {
    this.#onRead = onRead;
    Object.assign(this.#slider, { type: "range", min: "0", step: "1", className: "read" });
    this.#slider.setAttribute("aria-label", "Step of the chart that is read");
    this.#slider.addEventListener("input", () => this.#readAt(Number(this.#slider.value)));
    this.#read.className = "soft";
    figure.append(this.#svg, this.#slider, this.#read);
    new ResizeObserver(() => this.#draw()).observe(figure);
  }

  /** Draws `lines`, each a list of counts with bounds, one for each of `times`; `label` is what those hear who do not see. */
  show({ times, lines }, label) {
    // The newest step is read until another is chosen, and goes on to be.
    const newest = this.#at === null || this.#at >= this.#times.length - 1;
    [this.#times, this.#lines] = [times, lines];
    this.#svg.setAttribute("aria-label", label);
    this.#slider.max = String(Math.max(0, times.length - 1));
    this.#draw();
    this.#readAt(newest ? times.length - 1 : Math.min(this.#at, times.length - 1));
  }

  /** Makes one line stand out; `null`: none. */
  point(out) {
    for (const part of this.#svg.querySelectorAll("[data-line]")) {
      part.classList.toggle("dim", out !== null && part.dataset.line !== String(out));
    }
  }

  #readAt(at) {
    if (!this.#times[at]) return;
    this.#at = at;
    this.#slider.value = String(at);
    const { from, to } = this.#times[at];
    const words = interval(from, to);
    this.#slider.setAttribute("aria-valuetext", words);
    put(this.#read, words);
    this.#mark();
    this.#onRead(at);
  }

  #draw() {
    const width = this.#svg.clientWidth;
    if (width === 0 || this.#times.length === 0) return;
    this.#svg.setAttribute("viewBox", "0 0 " + width + " " + HEIGHT);
    const most = niceAbove(Math.max(1, ...this.#lines.flat().map((point) => bandOf(point)[1])));
    const left = EDGE.left + number(most).length * DIGIT;
    const [start, end] = [this.#times[0].from, this.#times.at(-1).to];
    this.x = (ms) => left + ((ms - start) / (end - start)) * (width - left - EDGE.right);
    this.y = (count) => HEIGHT - EDGE.bottom - (count / most) * (HEIGHT - EDGE.top - EDGE.bottom);
    const parts = [...this.#scale(most, left, width), ...this.#clock(start, end)];
    for (const [at, line] of this.#lines.entries()) parts.push(...this.#line(line, at));
    this.cursor = shape("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom });
    this.#svg.replaceChildren(...parts, this.cursor);
    this.#mark();
  }

  #mark() {
    const read = this.#times[this.#at];
    if (!read || !this.cursor) return;
    const x = this.x((read.from + read.to) / 2).toFixed(1);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
  }

  #scale(most, left, width) {
    const parts = [];
    for (let line = 0; line <= SCALE_LINES; line += 1) {
      const count = (most * line) / SCALE_LINES;
      if (!Number.isInteger(count)) continue;
      const y = this.y(count).toFixed(1);
      parts.push(shape("line", { class: "rule", x1: left, x2: width - EDGE.right, y1: y, y2: y }));
      parts.push(words(number(count), { x: left - 6, y, "text-anchor": "end", "dominant-baseline": "middle" }));
    }
    return parts;
  }

  #clock(start, end) {
    const y = HEIGHT - 6;
    const places = this.#svg.clientWidth < WIDE ? [0, 1] : [0, 0.25, 0.5, 0.75, 1];
    return places.map((part) => {
      const at = start + (end - start) * part;
      const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
      return words(mark(at, end - start), { x: this.x(at), y, "text-anchor": anchor });
    });
  }

  /** The band of what the counts may be, where they are not exact, and the line of the counts over it. */
  #line(points, at) {
    const place = (count) => (point) =>
      this.x((point.window_start + point.window_end) / 2).toFixed(1) + "," + this.y(count(point)).toFixed(1);
    const counts = points.map(place((point) => point.count));
    const common = { "data-line": at, "data-kind": at % 10 };
    const line = shape("polyline", { ...common, class: "count", points: counts.join(" ") });
    if (points.every((point) => point.exact)) return [line];
    const highest = points.map(place((point) => bandOf(point)[1]));
    const lowest = points.map(place((point) => bandOf(point)[0])).reverse();
    return [shape("polygon", { ...common, class: "band", points: [...highest, ...lowest].join(" ") }), line];
  }
}

/** The least of 1, 2, 4, 5, 8, 10, 20, … that is not below a count, so that its quarters are round. */
function niceAbove(count) {
  const ten = 10 ** Math.floor(Math.log10(count));
  return [1, 2, 4, 5, 8, 10].map((factor) => factor * ten).find((nice) => nice >= count);
}

function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function words(text, attributes) {
  const made = shape("text", attributes);
  made.textContent = text;
  return made;
}
