// Unpack, draw what the address asks for, and wire the controls. Without this file the first matrix is shown.
const view = byId("view");

// The first level and metric that have a matrix, where the address names none.
const settle = () => {
  const has = (metric) => data.matrices.some((m) => m.level === state.level && m.metric === metric);
  if (!data.matrices.some((m) => m.level === state.level)) state.level = DEFAULTS.level;
  if (!has(state.metric)) state.metric = data.matrices.find((m) => m.level === state.level).metric;
  for (const radio of view.querySelectorAll("[name=metric]")) radio.disabled = !has(radio.value);
  for (const form of document.forms) fill(form);
};

const drawAll = () => {
  if (!data.matrices.length) return;
  settle();
  drawMatrix();
  drawDialog();
  drawVersus();
};

const drawBelow = () => {
  drawRows();
  drawGallery();
};

const wire = () => {
  const dialog = byId("cell");
  bind(view, ["level", "metric", ...FILTERS], (name) => {
    Object.assign(state, { line: "", set: "" });
    drawAll();
    if (FILTERS.includes(name)) drawBelow();
  });
  byId("reset").addEventListener("click", () => {
    for (const name of FILTERS) state[name] = "";
    toAddress();
    drawAll();
    drawBelow();
    view.querySelector("select").focus();
  });
  bind(document.querySelector("#versus form"), ["a", "b"], drawVersus);
  bind(document.querySelector("#gallery form"), ["source", "label"], drawGallery);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  dialog.addEventListener("close", () => {
    Object.assign(state, { line: "", set: "" });
    toAddress();
  });
  addEventListener("popstate", () => {
    if (location.hash && !location.hash.includes("=")) return;
    fromAddress();
    drawAll();
    drawBelow();
  });
  byId("parts").addEventListener("click", (event) => {
    const target = event.target.hash && document.querySelector(event.target.hash);
    if (!target) return;
    event.preventDefault(); // the address keeps the view
    target.scrollIntoView();
  });
};

if (typeof DecompressionStream === "undefined") byId("old").hidden = false;
else {
  read(await unpack(byId("packed").textContent));
  const [first] = data.matrices;
  if (first) Object.assign(DEFAULTS, { level: first.level, metric: first.metric });
  fromAddress();
  options(document.querySelector("#gallery [name=source]"), [...new Set(data.header.gallery.map((i) => i.trained_on))].sort());
  prepareRows();
  wire();
  view.hidden = !first;
  for (const id of ["parts", "rows", "runs"]) byId(id).hidden = false;
  byId("gallery").hidden = !data.header.gallery.length;
  drawAll();
  document.documentElement.dataset.drawn = performance.now().toFixed(1);
  drawBelow();
  drawRuns();
  document.documentElement.dataset.whole = performance.now().toFixed(1);
}
