// The cell that the address names in; a dialog with everything known of it out.
const drawDialog = () => {
  const dialog = byId("cell");
  const matrix = selected();
  const cell = state.line && cellOf(matrix, state.line, state.set);
  if (!cell) {
    if (dialog.open) dialog.close();
    return;
  }
  const runs = new Map(cell.rows.map((row) => [fact(row, "run"), row]));
  const items = data.header.gallery.filter((item) => item.tested_on === fact(cell.rows[0], "tested_on") && runs.has(item.run));
  const close = make("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "×");
  const i = matrix.tested.indexOf(cell.column);
  dialog.replaceChildren(
    make(
      ...["div", { class: "top" }],
      make("p", {}, matrix.title),
      make("h2", { id: "cell-title" }, breakable(cell.line), " → ", breakable(matrix.heads[i])),
      close,
    ),
    make(
      ...["div", { class: "inside" }, summary(matrix, cell, i), remarks(matrix, cell), categories(cell)],
      items.length > 0 && [make("h3", {}, "Most wrong first"), figures(items, 4)],
      [...runs].map(([run, row], n) => origin(run, row, runs.size, n)),
    ),
  );
  if (!dialog.open) dialog.showModal();
  dialog.querySelector(".inside").scrollTop = 0;
};

const summary = (matrix, cell, i) => {
  const rank = cell.place && `rank ${cell.place.replace("=", ", shared")}`;
  const spread = cell.spread !== null && `±${(cell.spread / 10).toFixed(1)} over ${cell.rows.length} seeds`;
  const [background, color] = shade(matrix, cell.value);
  const said = [`chance ${matrix.chance[i]}`, rank, spread].filter(Boolean).join(" · ");
  return make(
    ...["div", { class: "summary" }],
    make("span", { class: cell.own ? "tile own" : "tile", style: { background, color } }, percent(cell.value), make("sup", {}, cell.marks)),
    make("div", {}, interval(cell, matrix.chance[i]), make("p", {}, said)),
  );
};

// In words what the marks of the cell stand for, and what else is known to lie between training and test.
const remarks = (matrix, cell) => {
  const [row] = cell.rows;
  const all = count(fact(row, "normal") + fact(row, "anomalous"));
  const unit = ["", "sample"].includes(fact(row, "unit")) ? "group" : fact(row, "unit");
  const most = (name) => Math.max(...cell.rows.map((each) => fact(each, name)));
  const [overlap, related, close] = ["overlap", "related", "near"].map(most);
  const known = [...new Set(cell.rows.map((each) => fact(each, "known")))].filter(Boolean);
  const control = cell.rows.map((each) => data.columns.control[each]).find(Boolean);
  const found = [
    cell.inDomain && `In-domain: a model behind this number was trained on samples of this test set, or on others of their ${unit}s.`,
    overlap && `${count(overlap)} of ${all} test samples were seen in training.`,
    related && `${count(related)} of ${all} are of a ${unit} seen in training.`,
    close && `Of ${count(close)} of ${all} a picture that is nearly the same was trained on.`,
    known.length && `Published overlap: ${known.join("; ")}.`,
    fact(row, "transductive") && "Transductive: the method looked at other samples of the test set before it scored one.",
    control && `A control, which knows no defect, is as good: ${fact(control - 1, "model")} ${percent(data.columns.value[control - 1])}.`,
    cell.marks.includes("≈") && "The interval holds chance, the value of random scores.",
    cell.marks.includes("↓") && "It lies below chance: the scores are upside down.",
  ].filter(Boolean);
  return found.length ? make("ul", { class: "remarks" }, found.map((text) => make("li", {}, text))) : null;
};

// One line a category, the worst first; of several seeds their means.
const categories = (cell) => {
  const found = new Map();
  for (const row of cell.rows) {
    for (const each of categoriesOf(row)) {
      const name = fact(each, "category");
      found.set(name, [...(found.get(name) ?? []), each]);
    }
  }
  if (!found.size) return null;
  const mean = (numbers) => (numbers.includes(null) ? null : Math.round(numbers.reduce((a, b) => a + b, 0) / numbers.length));
  const lines = [...found].map(([name, rows]) => {
    const each = rows.map((row) => shares("", row));
    const shown = Object.fromEntries(["value", "below", "above"].map((key) => [key, mean(each.map((one) => one[key]))]));
    return { name, rows, shown, inDomain: rows.some((row) => fact(row, "in_domain")) };
  });
  lines.sort((a, b) => a.shown.value - b.shown.value);
  const heads = ["Category", "Value", "Interval", "Chance", "Samples", "Control"];
  const body = lines.map(({ name, rows, shown, inDomain }) => {
    const [row] = rows;
    const control = rows.map((each) => data.columns.control[each]).find(Boolean) ?? 0;
    return make(
      ...["tr", {}, make("th", { scope: "row" }, breakable(name))],
      make("td", {}, make("b", {}, percent(shown.value)), inDomain && "†", fact(row, "transductive") && "§", control > 0 && "‡"),
      ...[make("td", { class: "g" }, interval(shown, chanceOf(row))), make("td", {}, chanceOf(row))],
      make("td", {}, `${count(fact(row, "normal") + fact(row, "anomalous"))}`, make("small", {}, `${count(fact(row, "anomalous"))} anomalous`)),
      make("td", {}, control > 0 && [percent(data.columns.value[control - 1]), make("small", {}, fact(control - 1, "model").replace("control: ", ""))]),
    );
  });
  const head = make("thead", {}, make("tr", {}, heads.map((text) => make("th", { scope: "col" }, text))));
  return [
    make("h3", {}, `Its ${lines.length === 1 ? "category" : `${lines.length} categories, the lowest first`}`),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Categories" }, make("table", { class: "categories" }, head, make("tbody", {}, body))),
  ];
};

const origin = (run, row, several, n) => {
  const draw = () => [command(run), facts([["run", run], ...ofRun(row), ...ofSet(row)]), settings(run)];
  const head = several > 1 ? `Command and origin, seed ${fact(row, "seed")}` : "Command and origin";
  return folding(head, draw, { class: "origin", open: n === 0 });
};
