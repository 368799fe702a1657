// All rows in; the list of those that fit the filters, sorted, a page at a time, out.
const PAGE = matchMedia("(max-width: 760px)").matches ? 12 : 60;
const HEADS = [
  { name: "Trained on", text: ["who", "trained_on"] },
  { name: "Tested on", text: ["where", "tested_on"] },
  { name: "Category", text: ["where", "category"] },
  { name: "Level", text: ["what", "level"] },
  { name: "Metric", text: ["what", "metric"] },
  { name: "Value", key: (row) => data.columns.value[row] },
  { name: "Interval", key: (row) => bounds(shares("", row))?.[0] ?? -1 },
  { name: "Chance", key: (row) => Number(chanceOf(row).replace(data.header.missing, "-1")) },
  { name: "Samples", key: (row) => fact(row, "normal") + fact(row, "anomalous") },
  { name: "Run", text: ["who", "run"] },
];
let listed = [];

const fitting = () => {
  const sought = state.find.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const { columns, header } = data;
  const holds = ["who", "where", "what"].map((group) => {
    const texts = perGroup(group, (values) => Object.values(values).join(" ").toLowerCase());
    return sought.map((word) => texts.map((text) => text.includes(word)));
  });
  const category = state.category || header.all;
  const who = perGroup("who", (f) => (!state.from || f.trained_on === state.from) && (!state.recipe || f.recipe === (state.recipe === "-" ? "" : state.recipe)));
  const where = perGroup("where", (f) =>
    (!state.to || f.tested_on === state.to) && (!state.domain || f.domain === state.domain) && (category === "*" || f.category === category));
  const what = perGroup("what", (f) => !state.number || f.metric === state.number);
  const seen = perGroup("seen", (f) => !state.own || f.in_domain === (state.own === "only"));
  const found = [];
  for (let i = 0; i < data.size; i++) {
    const [a, b, c] = [columns.who[i], columns.where[i], columns.what[i]];
    if (!(state.old || columns.current[i]) || !who[a] || !where[b] || !what[c] || !seen[columns.seen[i]]) continue;
    if (sought.every((_, w) => holds[0][w][a] || holds[1][w][b] || holds[2][w][c])) found.push(i);
  }
  return found;
};

const ordered = (found) => {
  const head = HEADS[state.order];
  if (!state.order || !head) return found;
  const keys = new Float64Array(data.size);
  if (head.text) {
    const [group, name] = head.text;
    const texts = perGroup(group, (values) => values[name]);
    const names = [...new Set(texts)].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const place = new Map(names.map((text, i) => [text, i]));
    const places = texts.map((text) => place.get(text));
    for (const row of found) keys[row] = places[data.columns[group][row]];
  } else for (const row of found) keys[row] = head.key(row);
  const way = state.rising ? 1 : -1;
  return Uint32Array.from(found).sort((a, b) => way * (keys[a] - keys[b]) || a - b);
};

const drawRows = () => {
  listed = ordered(fitting());
  document.querySelector("table.rows tbody").replaceChildren();
  document.querySelector("#rows output").textContent = `${count(listed.length)} of ${count(data.size)} rows`;
  document.querySelectorAll("table.rows thead th").forEach((head, i) => {
    const mine = state.order === String(i);
    head.setAttribute("aria-sort", mine ? (state.rising ? "ascending" : "descending") : "none");
  });
  moreRows();
};

const moreRows = () => {
  const body = document.querySelector("table.rows tbody");
  const done = body.rows.length;
  body.append(...Array.from(listed.slice(done, done + PAGE), drawRow));
  const more = document.querySelector("#rows .more");
  const left = listed.length - body.rows.length;
  more.hidden = left <= 0;
  more.textContent = `Show ${Math.min(left, PAGE)} of ${count(left)} more`;
};

const drawRow = (row) => {
  const { columns, header } = data;
  const small = (...texts) => make("small", {}, ...texts);
  const cell = (name, ...children) => make("td", { class: name }, ...children);
  const control = columns.control[row];
  const run = fact(row, "run");
  const shown = shares("", row);
  const [error, units] = [errorOf(row), fact(row, "unit")];
  const seen = [["overlap", "seen in training"], ["related", `of a ${units || "group"} seen in training`], ["near", "nearly the same as trained on"]];
  const value = [make("b", {}, percent(shown.value)), fact(row, "in_domain") && "†", fact(row, "transductive") && "§", control > 0 && "‡"];
  if (control) value.push(small(`${fact(control - 1, "model")} ${percent(columns.value[control - 1])}`));
  return make(
    ...["tr", { class: columns.current[row] ? null : "old" }],
    cell("a", fact(row, "trained_on"), small(`${fact(row, "model")}, ${fact(row, "backbone")}, seed ${fact(row, "seed")}`)),
    cell("b", fact(row, "tested_on"), small(fact(row, "dataset"), " ", make("code", {}, fact(row, "fingerprint").slice(0, 12)))),
    ...[cell("c", fact(row, "category")), cell("d", fact(row, "element") || fact(row, "level"))],
    cell("e", header.metrics[fact(row, "metric")], small(fact(row, "protocol"), error === "exact" ? "" : `; error ${error}`)),
    ...[cell("f", ...value), cell("g", interval(shown, chanceOf(row))), cell("h", chanceOf(row))],
    cell(
      ...["i", `${count(fact(row, "normal") + fact(row, "anomalous"))} (${count(fact(row, "anomalous"))} anomalous)`],
      units && small(`${count(fact(row, "groups"))} × ${units}`),
      fact(row, "known") && small(`published: ${fact(row, "known")}`),
      ...seen.filter(([name]) => fact(row, name)).map(([name, how]) => small(`${count(fact(row, name))} ${how}`)),
    ),
    cell(
      ...["j", make("button", { type: "button", class: "link", onclick: () => showRun(run) }, run)],
      small(make("code", {}, fact(row, "commit").slice(0, 9) + (fact(row, "dirty") ? "*" : "")), columns.current[row] ? "" : " superseded"),
    ),
  );
};

const prepareRows = () => {
  const form = document.querySelector("#rows form");
  options(form.elements.from, distinct("trained_on"));
  options(form.elements.to, distinct("tested_on"));
  const every = make("option", { value: "*" }, "any");
  form.elements.category.replaceChildren(make("option", { value: "" }, data.header.all), every);
  options(form.elements.category, distinct("category").filter((name) => name !== data.header.all));
  HEADS.forEach(({ name }, i) => form.elements.order.append(make("option", { value: i }, name)));
  const turn = (i) => () => {
    const mine = state.order === String(i);
    Object.assign(state, { order: String(i), rising: mine ? (state.rising ? "" : "yes") : HEADS[i].text ? "yes" : "" });
    fill(form);
    toAddress();
    drawRows();
  };
  const head = ({ name }, i) => make("th", { scope: "col" }, make("button", { type: "button", onclick: turn(i) }, name));
  document.querySelector("table.rows thead tr").replaceChildren(...HEADS.map(head));
  document.querySelector("#rows .more").addEventListener("click", moreRows);
  bind(form, ["find", "from", "to", "category", "number", "order", "old"], (name) => {
    if (name === "order") state.rising = HEADS[state.order]?.text ? "yes" : "";
    drawRows();
  });
};
