// One row of the ranking. Whatever an item is called, it is text and nothing else.

import { make } from "./dom.js";
import { bandOf, between, doubtOf, number, put } from "./format.js";
import { named, plain } from "./names.js";
import { newSpark } from "./spark.js";

const LEADERS = 3;
const CELLS = ["rank", "change", "item", "bar", "spark", "count"];

/** Sign, direction and words of a change in rank. `null`: it is new; `undefined`: there is nothing to compare with. */
function changeOf(change) {
  if (change === undefined) return ["", "", ""];
  if (change === null) return ["new", "new", "new in this ranking"];
  if (change > 0) return ["▲" + change, "up", "up " + change];
  if (change < 0) return ["▼" + -change, "down", "down " + -change];
  return ["–", "same", "at the same rank as before"];
}

/** In thousandths, which is as fine as a bar is drawn: a style that stays the same costs nothing. */
function stretch(bar, part) {
  const transform = "scaleX(" + part.toFixed(3) + ")";
  if (bar.style.transform !== transform) bar.style.transform = transform;
}

/** A length, in percent of the line. */
function at(element, side, part) {
  const percent = (100 * part).toFixed(1) + "%";
  if (element.style[side] !== percent) element.style[side] = percent;
}

/** A row that is kept for its item as long as that is ranked, wherever it moves. */
export class Row {
  constructor(id) {
    this.element = make("tr", "");
    this.element.setAttribute("role", "row");
    this.element.dataset.item = id;
    for (const name of CELLS) {
      this[name] = make(name === "item" ? "th" : "td", name);
      this[name].setAttribute("role", name === "item" ? "rowheader" : "cell");
    }
    this.item.scope = "row";
    this.#name(id);
    this.#bar();
    const { svg, line } = newSpark();
    this.spark.append(svg);
    this.line = line;
    this.counted = make("span", "counted");
    this.least = make("small", "least");
    this.count.append(this.counted, this.least);
    this.element.append(...CELLS.map((name) => this[name]));
  }

  #name(id) {
    this.button = make("button", "");
    this.button.type = "button";
    this.button.title = plain(id);
    this.button.append(named(id));
    this.item.append(this.button);
  }

  #bar() {
    const track = make("span", "track");
    this.upper = make("span", "upper");
    this.lower = make("span", "lower");
    track.append(this.upper, this.lower);
    // Beside a leader's a doubt would be too small to see: this one is drawn on the row's own scale.
    this.whisker = make("span", "whisker");
    this.range = make("span", "range");
    this.likely = make("span", "likely");
    this.whisker.append(this.range, this.likely);
    this.bar.append(track, this.whisker);
  }

  /** Draws the bounds from none to at most; the count within them where it is an estimate. */
  #doubt(item, low, high) {
    if (this.whisker.hidden !== item.exact) this.whisker.hidden = item.exact;
    if (item.exact) return;
    at(this.range, "width", (high - low) / Math.max(1, high));
    this.likely.hidden = !item.estimate;
    if (item.estimate) at(this.likely, "left", item.count / Math.max(1, high));
  }

  /** Shows an item. `most`: the count that fills a bar. */
  show(item, most) {
    put(this.rank, String(item.rank));
    const [text, direction, words] = changeOf(item.change);
    put(this.change, text);
    if (this.change.dataset.to !== direction) this.change.dataset.to = direction;
    if (this.change.title !== words) this.change.title = words;
    this.element.classList.toggle("leader", item.rank <= LEADERS);
    const [low, high] = bandOf(item);
    stretch(this.lower, low / most);
    stretch(this.upper, high / most);
    this.#doubt(item, low, high);
    put(this.counted, number(item.count));
    put(this.least, doubtOf(item));
    const bounds = between(item);
    if (this.bounds !== bounds) {
      this.bounds = bounds;
      this.bar.title = this.count.title = bounds;
    }
  }

  #flight = null;

  /** Moves into place from `way` pixels below it; those that rise pass over those that fall. `null`: it is new. */
  glide(way, timing) {
    if (way !== null && Math.abs(way) < 1) return;
    this.element.style.zIndex = way > 0 ? "2" : "1";
    // Of these two properties a browser needs no new layout, and no new style either.
    const from = way === null ? { opacity: 0 } : { transform: "translateY(" + way + "px)" };
    const to = way === null ? { opacity: 1 } : { transform: "none" };
    this.#flight = this.element.animate([from, to], timing);
  }

  /** Is in its place at once. */
  stop() {
    this.#flight?.cancel();
    this.#flight = null;
  }

  /** Draws the history line through these points. */
  draw(points) {
    if (this.points === points) return;
    this.points = points;
    this.line.setAttribute("points", points);
  }
}
