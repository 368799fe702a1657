// Two lines of the chosen matrix in; per test set both values, their difference and what the paired test says, out.
const testOf = (m, column, a, b) => {
  const { columns, header } = data;
  for (let i = 0; i < columns.test_matrix.length; i++) {
    if (columns.test_matrix[i] !== m || columns.test_column[i] !== column) continue;
    const straight = columns.test_a[i] === a && columns.test_b[i] === b;
    if (!straight && !(columns.test_a[i] === b && columns.test_b[i] === a)) continue;
    const [told, how] = header.dictionaries.test_said[columns.test_said[i]];
    const [half, p] = ["half", "p"].map((name) => unfolded(columns[`test_${name}`][i]));
    const numbers = { p, samples: columns.test_samples[i], how };
    const difference = apart(m, column, columns.test_a[i], columns.test_b[i]);
    const ends = half === null ? [null, null] : [Math.max(-10000, difference - 10 * half), Math.min(10000, difference + 10 * half)];
    const [low, high] = ends;
    const [better, worse] = straight ? ["better", "worse"] : ["worse", "better"];
    const verdict = told === "differs" ? (difference > 0 ? better : worse) : told;
    if (straight) return { ...numbers, difference, low, high, verdict };
    return { ...numbers, difference: -difference, low: half === null ? null : -high, high: half === null ? null : -low, verdict };
  }
  return null;
};

// Difference of two cells, in hundredths of a percent; the mean over all sets is the column after the last.
const apart = (m, column, ...lines) => {
  const matrix = data.matrices[m];
  const name = (line) => matrix.trained[line];
  const found = (line) => (column === matrix.tested.length ? matrix.averages.get(name(line)) : cellOf(matrix, name(line), matrix.tested[column]));
  const [a, b] = lines.map((line) => found(line).exact);
  return a - b;
};

const drawVersus = () => {
  const section = byId("versus");
  const matrix = selected();
  const form = section.querySelector("form");
  section.hidden = matrix.trained.length < 2;
  if (section.hidden) return;
  for (const [name, other] of [["a", 0], ["b", 1]]) {
    const select = form.elements[name];
    select.replaceChildren();
    options(select, matrix.trained);
    select.value = matrix.trained.includes(state[name]) ? state[name] : matrix.trained[other];
  }
  const [a, b] = [form.elements.a.value, form.elements.b.value];
  const lines = matrix.tested.flatMap((tested, i) => {
    const cells = [cellOf(matrix, a, tested), cellOf(matrix, b, tested)];
    const fits = cells.every(Boolean) && (!state.domain || matrix.domains[i] === state.domain);
    return fits && cells.some((cell) => wanted(cell.rows[0], cell.inDomain)) ? [{ i, cells }] : [];
  });
  section.querySelector(".table").replaceChildren(...(a === b ? [aside("Choose two that differ.")] : against(matrix, a, b, lines)));
};

const aside = (text) => make("p", { class: "note" }, text);

const against = (matrix, a, b, lines) => {
  if (!lines.length) return [aside("The two have no test set in common that fits the filters.")];
  const m = data.matrices.indexOf(matrix);
  const places = [a, b].map((line) => matrix.trained.indexOf(line));
  const shown = lines.map(({ i, cells }) => ({ head: matrix.heads[i], cells, test: testOf(m, i, ...places) }));
  const known = shown.filter(({ test }) => test?.samples).map(({ test }) => test.verdict);
  const whole = [a, b].map((line) => matrix.averages.get(line));
  if (!state.domain && whole.every(Boolean)) shown.push({ head: matrix.whole, cells: whole, test: testOf(m, matrix.tested.length, ...places) });
  const ends = shown.filter(({ test }) => test?.samples).flatMap(({ test }) => [Math.abs(test.low), Math.abs(test.high)]);
  const widest = Math.max(100, ...ends);
  const heads = ["Tested on", a, b, "Difference", "The paired test says"];
  const head = make("thead", {}, make("tr", {}, heads.map((text) => make("th", { scope: "col" }, breakable(text)))));
  const value = (cell, n) =>
    make("td", { "data-of": n ? b : a }, make("b", {}, percent(cell.value)), make("sup", {}, cell.marks), make("small", {}, span(cell)));
  const body = shown.map(({ head, cells, test }) =>
    make("tr", {}, make("th", { scope: "row" }, breakable(head)), cells.map(value), difference(cells, test, widest), verdict(test)),
  );
  const how = [...new Set(shown.map(({ test }) => test?.samples && test.how).filter(Boolean))];
  const table = make("table", { class: "pair" }, head, make("tbody", {}, body));
  return [
    make("p", { class: "means" }, tally(matrix, known, a, b)),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${a} against ${b}` }, table),
    known.length > 0 && aside("p is corrected (Holm) over all pairs of one test set, metric and level; intervals are not."),
    shown.some(({ test }) => test?.samples && test.low === null) && aside("On a board of so many pairs p is told of the first metric alone and no interval: compare fewer runs to see them."),
    ...how.map((text) => aside(`Test: ${text}.`)),
  ].filter(Boolean);
};

const tally = (matrix, verdicts, a, b) => {
  if (!verdicts.length) return "No paired test: the runs of the two keep no scores of the same samples.";
  const of = (said) => verdicts.filter((verdict) => verdict === said).length;
  const sets = `${verdicts.length} ${verdicts.length === 1 ? "test set" : "test sets"}`;
  return `${matrix.title}: ${a} is better than ${b} on ${of("better")} of ${sets}, worse on ${of("worse")}, and cannot be told apart on ${of("cannot tell")}.`;
};

const difference = (cells, test, widest) => {
  if (!test?.samples || test.low === null) return make("td", {}, points(cells[0].exact - cells[1].exact));
  const place = (number) => 50 + (50 * number) / widest;
  const style = { "--l": place(test.low), "--h": place(test.high), "--v": place(test.difference), "--c": 50 };
  const range = `${points(test.low)} to ${points(test.high)}`;
  return make("td", { class: "g" }, make("b", {}, points(test.difference)), make("span", { class: "bar-ci", style, "aria-hidden": "true" }), make("small", {}, range));
};

const verdict = (test) => {
  if (!test?.samples) return make("td", {}, make("small", {}, test ? test.how : "not tested"));
  const p = test.p === null ? "" : test.p === 0 ? "p < 0.001" : test.p <= 100 ? `p = ${(test.p / 1000).toFixed(3)}` : `p = ${((test.p - 90) / 100).toFixed(2)}`;
  const said = make("span", { class: `said ${test.verdict.replace(" ", "-")}` }, test.verdict);
  return make("td", {}, said, make("small", {}, [p, `${count(test.samples)} samples`].filter(Boolean).join(", ")));
};
