// A row or a run in; where it comes from, the command that makes it again, and the settings, out.
const RUN = ["trained_on", "experiment", "model", "backbone", "seed", "date", "commit", "config", "weights", "selection"];
const facts = (pairs) =>
  make(
    ...["dl", {}],
    pairs.filter(([, value]) => value !== "").map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );

const ofRun = (row) => [
  ...[...RUN, "hardware", "packages"].map((name) => [name.replace("_", " "), told(row, name)]),
  ["protocol of", fact(row, "recipe")],
];
const told = (row, name) => {
  const value = String(fact(row, name));
  if (name === "date") return `${value.slice(0, 16).replace("T", " ")} UTC`;
  return name === "commit" && fact(row, "dirty") ? `${value}, with uncommitted changes` : value;
};

const ofSet = (row) => {
  const unit = fact(row, "unit");
  const all = fact(row, "normal") + fact(row, "anomalous");
  const elements = fact(row, "elements");
  const named = `${fact(row, "element") || "element"}s`;
  return [
    ["tested on", `${fact(row, "tested_on")}, ${fact(row, "dataset")}`],
    ["fingerprint of the test set", fact(row, "fingerprint")],
    ["samples", `${count(all)}, ${count(fact(row, "anomalous"))} anomalous`],
    ["statistical units", unit && `${count(fact(row, "groups"))} × ${unit}`],
    ["elements", elements === null ? "" : `${count(fact(row, "anomalous_elements"))} of ${count(elements)} ${named} anomalous`],
    ["metric", fact(row, "protocol")],
    ["interval", fact(row, "interval") || "none"],
    ["error of the estimate", errorOf(row)],
  ];
};

// The command of a run, ready to be copied.
const command = (run) => {
  const known = data.header.records[run];
  if (!known || known.command === null) return make("p", { class: "note" }, "Its run record holds no command.");
  if (!known.command) return make("p", { class: "note" }, "Made by a program, not by a command; its settings say how.");
  const copy = make("button", { type: "button", class: "quiet" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(known.command);
    copy.textContent = "Copied";
  });
  return make("div", { class: "command" }, make("pre", { tabindex: 0 }, make("code", {}, known.command)), navigator.clipboard && copy);
};

const settings = (run) => {
  const known = data.header.records[run]?.settings;
  return known ? folding("Settings of the experiment", () => [make("pre", { tabindex: 0 }, make("code", {}, known))]) : null;
};

// Details that are drawn when they are opened.
const folding = (head, draw, attributes = {}) => {
  const made = make("details", attributes, make("summary", {}, head));
  const once = () => made.open && made.children.length === 1 && made.append(...draw().filter(Boolean));
  made.addEventListener("toggle", once);
  once();
  return made;
};

const drawRuns = () => {
  const runs = new Map();
  for (let i = 0; i < data.size; i++) {
    const code = data.columns.who[i];
    const run = data.header.dictionaries.who[code][0];
    if (!runs.has(run)) runs.set(run, i);
  }
  const newest = [...runs].sort(([, a], [, b]) => fact(b, "date").localeCompare(fact(a, "date")));
  const lines = newest.map(([run, row]) => {
    const dirty = fact(row, "dirty") && make("em", {}, "uncommitted changes");
    const source = make("span", {}, `trained on ${fact(row, "trained_on")}`);
    const head = [make("b", {}, run), source, make("span", {}, told(row, "date")), dirty].filter(Boolean);
    const draw = () => [command(run), facts(ofRun(row)), settings(run)];
    return folding(make("div", { class: "line" }, head), draw, { "data-run": run, open: runs.size === 1 });
  });
  document.querySelector("#runs .list").replaceChildren(...lines);
};

const showRun = (run) => {
  const found = [...document.querySelectorAll("#runs details")].find((part) => part.dataset.run === run);
  if (!found) return;
  found.open = true;
  found.scrollIntoView();
  found.querySelector("summary").focus({ preventScroll: true });
};
