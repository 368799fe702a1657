// Names, attributes and children in; elements and digits out. Text from the data stays text: nothing is parsed as markup.
const byId = (id) => document.getElementById(id);

const make = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, set] of Object.entries(value)) made.style.setProperty(key, set);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
};

// A name that may run over lines after an underscore, slash or hyphen.
const breakable = (name) =>
  name
    .replaceAll(" · ", "\u00a0· ")
    .split(/(?<=[_/-])/)
    .flatMap((part, i) => (i ? [make("wbr"), part] : [part]));

const options = (select, names) => select.append(...names.map((name) => make("option", {}, name)));

// Shares come in hundredths of a percent, bounds as tenths of a percent away from them.
const tenths = (value) => Math.round(value / 10);
const percent = (value) => (tenths(value) / 10).toFixed(1);
const bounds = ({ value, below, above }) => (below === null ? null : [tenths(value) - below, tenths(value) + above]);
const span = (shown) => {
  const found = bounds(shown);
  return found ? found.map((bound) => (bound / 10).toFixed(1)).join("–") : data.header.missing;
};
const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const points = (number) => `${number < 0 ? "−" : "+"}${(Math.abs(number) / 100).toFixed(1)}`; // hundredths, signed

// An interval as a bar from 0 to 100, with its value and, where known, the level of chance.
const interval = (shown, chance) => {
  const found = bounds(shown);
  if (!found) return make("small", {}, data.header.missing);
  const [low, high] = found.map((bound) => bound / 10);
  const known = chance === data.header.missing ? -9 : chance;
  const style = { "--l": low, "--h": high, "--v": tenths(shown.value) / 10, "--c": known };
  return [make("span", { class: "bar-ci", style, "aria-hidden": "true" }), make("small", {}, span(shown))];
};
