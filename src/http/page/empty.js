// What is said in place of rows where there are none: the command that posts the first event, or why nothing is counted of
// what came, or what is waited for.

import { awaited, eventsOf } from "./about.js";
import { write } from "./choice.js";
import { make, told } from "./dom.js";
import { number, put, time } from "./format.js";
import { losses, reasonOf } from "./reasons.js";
import { Teach } from "./teach.js";

const byId = (id) => document.getElementById(id);
const teach = new Teach();

/** Says why there are no rows of a choice, or nothing where there are some. `shown`: whether a ranking came, if an empty one. */
export function explainNothing({ choice, status, empty, shown, inTrouble }) {
  const met = status?.boards?.[choice?.board.name];
  const why = empty && choice && !choice.past ? (met?.why_empty ?? null) : null;
  const teaching = empty && !choice?.past && status?.ingest === true && status.records === 0;
  teach.show(teaching ? choice.board : null);
  byId("board-view").hidden = teaching || why !== null;
  byId("empty").hidden = why === null;
  byId("nothing").hidden = !empty || teaching || why !== null || inTrouble || status === null;
  byId("ranking").hidden = empty;
  if (why !== null) showCauses(choice, status, met);
  else put(byId("nothing"), shown ? "Nothing was counted in this time." + lastOf(choice, status) : awaited(choice));
}

/** When the last event came, where an empty ranking is the newest one. */
function lastOf(choice, status) {
  if (choice.past || !status?.last_event) return "";
  return " The last event was counted at " + time(status.last_event) + ".";
}

function showCauses(choice, status, met) {
  put(byId("empty-why"), met.why_empty.charAt(0).toUpperCase() + met.why_empty.slice(1) + ".");
  const wanted = eventsOf(choice.board);
  put(byId("empty-wanted"), wanted === "events" ? "" : "The board counts " + wanted + ".");
  const none = status.events === 0;
  const causes = none ? losses(status) : ofBoard(met);
  const list = make("ul", "causes");
  list.id = "empty-causes";
  list.append(...causes.map(([name, count]) => cause(name, count)));
  // One that is the same stays, with what somebody has marked in it.
  if (!list.isEqualNode(byId("empty-causes"))) byId("empty-causes").replaceWith(list);
  const address = write({ ...choice, view: "status" });
  if (byId("empty-status").getAttribute("href") !== address) byId("empty-status").href = address;
}

/** Why this board has counted nothing, while others have. */
function ofBoard(met) {
  if (met.matched === 0) return [["unmatched", null]];
  const found = { item: met.without_item, weight: met.without_weight, distinct: met.without_value ?? 0 };
  return Object.entries(found).filter(([, count]) => count > 0);
}

function cause(name, count) {
  const [what, meaning, todo] = reasonOf(name);
  const entry = make("li", "");
  const head = count === null ? "No event matches the filter" : number(count) + " " + what;
  const advice = told(todo);
  advice.className = "todo";
  entry.append(make("strong", "", head), told(meaning), advice);
  return entry;
}
