// Gallery items in; figures out, whose pictures are put in when they come near the screen.
const stored = () => (data.pictures ??= [...document.querySelectorAll("script.picture")]);
const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      target.src = stored()[target.dataset.picture].textContent;
    }
  },
  { rootMargin: "300px" },
);

const picture = (number, alt) => {
  const made = make("img", { alt, "data-picture": number });
  near.observe(made);
  return made;
};

const figure = (item) => {
  const name = item.title ?? item.id.replaceAll("\\", "/").split("/").at(-1);
  const defect = item.defect ? ` (${item.defect})` : "";
  const said = `${item.label ? "Anomalous" : "Normal"}${defect}, scored ${item.score.toFixed(2)}`;
  const truth = item.truth === null ? make("em", {}, item.label ? "no mask" : "nothing to outline") : null;
  return make(
    ...["figure", {}],
    make(
      ...["div", { class: "trio" }],
      make("span", {}, picture(item.view, `Input ${name}`), make("i", {}, "input")),
      make("span", {}, picture(item.overlay, "The same with its anomaly map"), make("i", {}, "map")),
      make("span", {}, truth ?? picture(item.truth, "The same with the true anomaly outlined"), make("i", {}, "truth")),
    ),
    make(
      ...["figcaption", {}, make("strong", {}, said)],
      make("span", { class: item.label ? "rail up" : "rail", style: { "--s": `${100 * item.score}%` }, "aria-hidden": "true" }),
      make("span", { class: "file", title: item.id }, name),
      ...[make("span", {}, `${item.category}, ${item.tested_on}`), make("span", {}, `trained on ${item.trained_on}`)],
    ),
  );
};

// Figures, a few at first.
const figures = (items, first) => {
  const cards = make("div", { class: "cards" });
  const more = make("button", { type: "button", class: "more" });
  const show = (number) => {
    const done = cards.children.length;
    cards.append(...items.slice(done, number).map(figure));
    more.hidden = items.length <= number;
    more.textContent = `Show ${items.length - number} more`;
    return cards.children[done];
  };
  more.addEventListener("click", () => show(cards.children.length + 24));
  show(first);
  return [cards, more];
};

const drawGallery = () => {
  const fits = (item) =>
    (!state.domain || item.domain === state.domain) &&
    (!state.source || item.trained_on === state.source) &&
    (!state.label || (state.label === "anomalous") === item.label);
  const groups = Map.groupBy
    ? Map.groupBy(data.header.gallery.filter(fits), (item) => item.domain)
    : data.header.gallery.filter(fits).reduce((all, item) => all.set(item.domain, [...(all.get(item.domain) ?? []), item]), new Map());
  document.querySelector("#gallery .groups").replaceChildren(
    ...[...groups].map(([domain, items]) =>
      make(
        ...["article", { class: "domain" }],
        make("h3", {}, domain, make("small", {}, `${items.length} kept, most wrong first`)),
        figures(items, 6),
      ),
    ),
  );
};
