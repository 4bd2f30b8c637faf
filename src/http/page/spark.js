// The small history lines: each item's count over the snapshots seen.

const POINTS = 60;
/** Snapshots may come ten times a second; a point is one of them a second, so that a line spans a minute. */
const BETWEEN_POINTS_MS = 1000;
const WIDTH = 120;
const HEIGHT = 28;
const PAD = 3;

/** What was seen of one board, window and group. */
export class History {
  #tick = 0;
  #last = -Infinity;
  #lines = new Map();

  clear() {
    this.#tick = 0;
    this.#last = -Infinity;
    this.#lines.clear();
  }

  /** Notes a snapshot's counts at the time `now` (ms): as a new point, or in place of the newest. */
  note(items, now) {
    if (now - this.#last >= BETWEEN_POINTS_MS) {
      this.#tick += 1;
      this.#last = now;
      this.#forget();
    }
    for (const { item_id, count } of items) {
      const line = this.#lines.get(item_id) ?? [];
      if (line.at(-1)?.tick === this.#tick) line.pop();
      line.push({ tick: this.#tick, count });
      this.#lines.set(item_id, line);
    }
  }

  #forget() {
    const first = this.#tick - POINTS;
    for (const [id, line] of this.#lines) {
      while (line.length && line[0].tick <= first) line.shift();
      if (!line.length) this.#lines.delete(id);
    }
  }

  /** The points of an item's line in the box of `newSpark`; empty before there are two. */
  points(id) {
    const line = this.#lines.get(id) ?? [];
    if (line.length < 2) return "";
    const counts = line.map((point) => point.count);
    const [low, high] = [Math.min(...counts), Math.max(...counts)];
    // A twentieth of the count at least, so that a flat line looks flat.
    const range = Math.max(high - low, high / 20, 1);
    const middle = (low + high) / 2;
    const x = (tick) => WIDTH - PAD - ((this.#tick - tick) * (WIDTH - 2 * PAD)) / (POINTS - 1);
    const y = (count) => HEIGHT / 2 - ((count - middle) / range) * (HEIGHT - 2 * PAD);
    return line.map(({ tick, count }) => x(tick).toFixed(1) + "," + y(count).toFixed(1)).join(" ");
  }
}

/** An empty line: the picture, and the part whose `points` are drawn. */
export function newSpark() {
  const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const svg = make("svg");
  svg.setAttribute("viewBox", "0 0 " + WIDTH + " " + HEIGHT);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = make("polyline");
  svg.append(line);
  return { svg, line };
}
