// Two lines of the chosen matrix in; per test set both values, their difference and what the paired test says, out.
const SAID = { better: "better", worse: "worse", "cannot tell": "cannot tell" };
const FLIPPED = { better: "worse", worse: "better" };

const testOf = (m, column, a, b) => {
  const { columns, header } = data;
  for (let i = 0; i < columns.test_matrix.length; i++) {
    if (columns.test_matrix[i] !== m || columns.test_column[i] !== column) continue;
    const straight = columns.test_a[i] === a && columns.test_b[i] === b;
    if (!straight && !(columns.test_a[i] === b && columns.test_b[i] === a)) continue;
    const [verdict, how] = header.dictionaries.test_said[columns.test_said[i]];
    const [difference, low, high] = ["difference", "low", "high"].map((name) => unfolded(columns[`test_${name}`][i]));
    const numbers = { p: columns.test_p[i], adjusted: columns.test_adjusted[i], samples: columns.test_samples[i], how };
    if (straight) return { ...numbers, difference, low, high, verdict };
    return { ...numbers, difference: -difference, low: -high, high: -low, verdict: FLIPPED[verdict] ?? verdict };
  }
  return null;
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
  const tested = lines.map(({ i, cells }) => ({ i, cells, test: testOf(m, i, ...places) }));
  const widest = Math.max(100, ...tested.flatMap(({ test }) => (test ? [Math.abs(test.low), Math.abs(test.high)] : [])));
  const heads = ["Tested on", a, b, "Difference", "The paired test says"];
  const head = make("thead", {}, make("tr", {}, heads.map((text) => make("th", { scope: "col" }, breakable(text)))));
  const body = tested.map(({ i, cells, test }) =>
    make(
      ...["tr", {}, make("th", { scope: "row" }, breakable(matrix.heads[i]))],
      cells.map((cell, n) => make("td", { "data-of": n ? b : a }, make("b", {}, percent(cell.value)), make("sup", {}, cell.marks), make("small", {}, span(cell)))),
      difference(cells, test, widest),
      verdict(test),
    ),
  );
  const how = [...new Set(tested.map(({ test }) => test?.how).filter(Boolean))];
  const label = `${a} against ${b}`;
  return [
    make("p", { class: "means" }, tally(tested.map(({ test }) => test?.verdict), a, b)),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, make("table", { class: "pair" }, head, make("tbody", {}, body))),
    ...how.map(aside),
  ];
};

const tally = (verdicts, a, b) => {
  const known = verdicts.filter(Boolean);
  if (!known.length) return "No paired test: the runs keep no scores of single samples in common.";
  const of = (said) => known.filter((verdict) => verdict === said).length;
  return `${matrixTitle()}: ${a} is better than ${b} on ${of("better")} of ${known.length} test sets, worse on ${of("worse")}, and cannot be told apart on ${of("cannot tell")}.`;
};
const matrixTitle = () => selected().title;

const difference = (cells, test, widest) => {
  if (!test) return make("td", {}, points(cells[0].value - cells[1].value), make("small", {}, "not tested"));
  const place = (number) => 50 + (50 * number) / widest;
  const style = { "--l": place(test.low), "--h": place(test.high), "--v": place(test.difference), "--c": 50 };
  const range = `${points(test.low)} to ${points(test.high)}`;
  return make("td", { class: "g" }, make("b", {}, points(test.difference)), make("span", { class: "bar-ci", style, "aria-hidden": "true" }), make("small", {}, range));
};

const verdict = (test) => {
  if (!test) return make("td", {}, data.header.missing);
  const p = test.adjusted < 10 ? "p < 0.001" : `p = ${(test.adjusted / 10000).toFixed(3)}`;
  const said = make("span", { class: `said ${test.verdict.replace(" ", "-")}` }, SAID[test.verdict] ?? test.verdict);
  return make("td", {}, said, make("small", {}, `${p} adjusted, ${count(test.samples)} samples`));
};
