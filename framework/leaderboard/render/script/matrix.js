// The chosen matrix and the filters in; the heat map, sorted, with a button in every cell, out.
const visible = (matrix) => {
  const columns = matrix.tested.map((_, i) => i).filter((i) => !state.domain || matrix.domains[i] === state.domain);
  const cell = (line, i) => {
    const found = cellOf(matrix, line, matrix.tested[i]);
    return found && wanted(found.rows[0], found.inDomain) ? found : null;
  };
  const lines = matrix.trained.filter((line) => columns.some((i) => cell(line, i)));
  const used = columns.filter((i) => lines.some((line) => cell(line, i)));
  const whole = matrix.averages.size > 0 && !state.domain && !state.own;
  return { lines: sorted(matrix, lines, cell), columns: used, cell, whole };
};

const sorted = (matrix, lines, cell) => {
  const way = state.up ? 1 : -1;
  if (state.sort === "name") return [...lines].sort((a, b) => -way * a.localeCompare(b, undefined, { numeric: true }));
  const column = matrix.tested.indexOf(state.sort.slice("set:".length));
  if (!state.sort || (column < 0 && state.sort !== "mean")) return lines;
  const worst = state.up ? Infinity : -Infinity; // what was not measured comes last
  const value = (line) => (column < 0 ? matrix.averages.get(line) : cell(line, column))?.value ?? worst;
  return [...lines].sort((a, b) => way * (value(a) - value(b)) || 0);
};

const shade = (matrix, value) => {
  const last = matrix.shades.length - 1;
  const place = Math.round(((value - matrix.floor) / (10000 - matrix.floor)) * last);
  return matrix.shades[Math.min(Math.max(place, 0), last)];
};

const drawMatrix = () => {
  const matrix = selected();
  const shown = visible(matrix);
  const many = shown.columns.length > 6 || shown.lines.length > 12;
  const filtered = FILTERS.some((name) => state[name]);
  const [own, other] = matrix.means ?? [];
  const means = [make("b", {}, own), " mean of the outlined, ", make("b", {}, other), " of those trained elsewhere"];
  const table = make(
    ...["table", { class: many ? "heat many" : "heat" }],
    make("thead", {}, make("tr", {}, sortHead("name", ["trained on ↓", "tested on →"]), shown.columns.map(setHead(matrix)), shown.whole && sortHead("mean", [matrix.whole]))),
    make("tbody", {}, shown.lines.map((line) => drawLine(matrix, shown, line)), drawChance(matrix, shown)),
  );
  table.addEventListener("keydown", walk);
  const label = `${matrix.title}, trained by tested`;
  byId("board").replaceChildren(
    make("div", { class: "head" }, make("h3", {}, matrix.title), matrix.means && !filtered && make("p", { class: "means" }, means)),
    shown.lines.length
      ? make("div", { class: "scroll", role: "region", "aria-label": label }, table)
      : make("p", { class: "notice" }, "Nothing was measured that fits these filters."),
  );
  const first = table.querySelector("td button");
  if (first) first.tabIndex = 0;
  byId("floor").textContent = `${matrix.floor ? "≤ " : ""}${percent(matrix.floor)}`;
  byId("reset").hidden = !filtered;
};

const drawLine = (matrix, shown, line) =>
  make(
    ...["tr", {}, make("th", { scope: "row" }, breakable(line))],
    shown.columns.map((i) => {
      const cell = shown.cell(line, i);
      return cell ? drawCell(matrix, cell, i) : make("td", { class: "none", title: "not measured" }, data.header.missing);
    }),
    shown.whole && drawMean(matrix, matrix.averages.get(line)),
  );

// The mean over all sets, of a line that has them all.
const drawMean = (matrix, cell) => {
  if (!cell) return make("td", { class: "none mean", title: "not measured on every set" }, data.header.missing);
  const [background, color] = shade(matrix, cell.value);
  const place = cell.place && make("i", { class: "place", title: `rank ${cell.place.replace("=", ", shared")}` }, cell.place);
  const shown = [place, make("b", {}, percent(cell.value)), make("sup", {}, cell.marks), make("small", {}, span(cell))];
  return make("td", { class: "mean", style: { background, color } }, shown);
};

const drawCell = (matrix, cell, i) => {
  const [background, color] = shade(matrix, cell.value);
  const spread = cell.spread === null ? null : `±${(cell.spread / 10).toFixed(1)}, ${cell.rows.length} seeds`;
  const rank = cell.place && `rank ${cell.place.replace("=", ", shared")}`;
  const label = [`${cell.line}, tested on ${matrix.heads[i]}: ${percent(cell.value)}`, span(cell), rank, spread];
  if (cell.inDomain) label.push("in-domain");
  const button = make(
    ...["button", { type: "button", tabindex: -1, style: { background, color }, "aria-haspopup": "dialog" }],
    cell.place && make("i", { class: "place", title: rank }, cell.place),
    ...[make("b", {}, percent(cell.value)), make("sup", {}, cell.marks), make("small", {}, span(cell))],
    spread && make("small", {}, spread),
  );
  button.setAttribute("aria-label", label.filter(Boolean).join(", "));
  button.addEventListener("click", () => {
    Object.assign(state, { line: cell.line, set: cell.column });
    toAddress(true);
    drawDialog();
  });
  return make("td", { class: cell.own && "own" }, button);
};

const drawChance = (matrix, { columns, whole }) => {
  const levels = columns.map((i) => make("td", {}, matrix.chance[i]));
  return make("tr", { class: "chance" }, make("th", { scope: "row" }, "chance"), levels, whole && make("td", {}, data.header.missing));
};

const setHead = (matrix) => (i) => sortHead(`set:${matrix.tested[i]}`, breakable(matrix.heads[i]));

// A column's head sorts: best first, then worst first, then the given order again.
const sortHead = (key, children) => {
  const mine = state.sort === key;
  const named = key === "name";
  const direction = mine && (Boolean(state.up) === named ? "descending" : "ascending");
  const turn = () => {
    Object.assign(state, !mine ? { sort: key, up: "" } : state.up ? { sort: "", up: "" } : { up: "yes" });
    toAddress();
    drawMatrix();
    [...document.querySelectorAll("#board thead button")].find((b) => b.dataset.key === key)?.focus();
  };
  const parts = named ? children.map((child) => make("span", {}, child)) : children;
  const button = make("button", { type: "button", "data-key": key, title: "sort", onclick: turn }, parts);
  return make("th", { scope: "col", "aria-sort": direction || "none" }, button);
};

// Arrow keys walk from cell to cell; the whole matrix is one stop of the Tab key.
const walk = (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const cell = event.target.closest("td");
  if (!step || !cell) return;
  event.preventDefault();
  const table = event.currentTarget;
  let [x, y] = [cell.cellIndex, cell.parentElement.rowIndex];
  for (;;) {
    [x, y] = [x + step[0], y + step[1]];
    const next = table.rows[y]?.cells[x];
    if (!next || next.tagName === "TH") return;
    const button = next.querySelector("button");
    if (!button) continue;
    event.target.tabIndex = -1;
    button.tabIndex = 0;
    return button.focus();
  }
};
