// What is chosen on the page, and the same in the address, so that a view can be sent to a colleague.
const DEFAULTS = {
  ...{ level: "", metric: "", domain: "", recipe: "", own: "", sort: "", up: "", a: "", b: "", line: "", set: "" },
  ...{ source: "", label: "", find: "", from: "", to: "", category: "", number: "", order: "", rising: "", old: "" },
};
const FILTERS = ["domain", "recipe", "own"];
const state = { ...DEFAULTS };

const fromAddress = () => {
  const told = location.hash.includes("=") ? new URLSearchParams(location.hash.slice(1)) : new URLSearchParams();
  for (const name of Object.keys(DEFAULTS)) state[name] = told.get(name) ?? DEFAULTS[name];
};

const toAddress = (step = false) => {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) if (value !== DEFAULTS[name]) told.set(name, value);
  const address = `#${told}`;
  if (address === (location.hash || "#")) return;
  history[step ? "pushState" : "replaceState"](null, "", address);
};

const selected = () => data.matrices.find((m) => m.level === state.level && m.metric === state.metric);

// Whether a row, and so its cell, is of the protocol and the side of the domain that are asked for.
const wanted = (row, inDomain) =>
  (!state.recipe || fact(row, "recipe") === (state.recipe === "-" ? "" : state.recipe)) &&
  (!state.own || inDomain === (state.own === "only"));

// What a form shows is what the state says, and the other way round.
const bind = (form, names, changed) => {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    const { name, type, checked, value } = event.target;
    if (!names.includes(name)) return;
    state[name] = type === "checkbox" && !checked ? "" : value;
    changed(name);
    toAddress();
  });
};
const fill = (form) => {
  for (const field of form.elements) {
    if (!(field.name in state)) continue;
    if (field.type === "radio" || field.type === "checkbox") field.checked = field.value === state[field.name];
    else field.value = state[field.name];
    if (field.tagName === "SELECT" && field.selectedIndex < 0) field.value = state[field.name] = "";
  }
};
