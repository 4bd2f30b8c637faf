// Elements, made by hand: what is put into them is text.

/** An element of a class, with this text. */
export function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A sentence; what stands in backquotes is code. */
export function told(text) {
  const element = make("span", "");
  element.append(...text.split("`").map((part, at) => (at % 2 === 0 ? part : make("code", "", part))));
  return element;
}

/** A row of a table; its first cell is its head. A cell is a text, or an element. */
export function tableRow(cells) {
  const row = document.createElement("tr");
  // Said, since a table is none any more to some readers where a narrow screen shows it as a grid.
  row.setAttribute("role", "row");
  for (const [at, content] of cells.entries()) {
    const cell = document.createElement(at === 0 ? "th" : "td");
    if (at === 0) cell.scope = "row";
    cell.setAttribute("role", at === 0 ? "rowheader" : "cell");
    cell.append(content);
    row.append(cell);
  }
  return row;
}

/** Replaces the rows of a table, where they differ: text that somebody marks stays marked. */
export function putRows(table, rows) {
  const made = document.createElement("tbody");
  made.setAttribute("role", "rowgroup");
  made.append(...rows.map(tableRow));
  if (made.isEqualNode(table.tBodies[0])) return;
  table.tBodies[0].replaceWith(made);
}
