// The page's own controls in; what they show, out. Without this file everything is shown.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const form = (id) => {
    const found = document.getElementById(id);
    if (found) {
      found.hidden = false;
      found.addEventListener("submit", (event) => event.preventDefault());
    }
    return found;
  };

  // one matrix at a time
  const choose = form("switch");
  const matrices = all(".matrix");
  const showMatrix = () => {
    const level = choose.elements.level.value;
    const has = (metric) => matrices.some((m) => m.dataset.level === level && m.dataset.metric === metric);
    const radios = all("[name=metric]", choose);
    for (const radio of radios) radio.disabled = !has(radio.value);
    if (!has(choose.elements.metric.value)) radios.find((radio) => !radio.disabled).checked = true;
    const metric = choose.elements.metric.value;
    for (const m of matrices) m.hidden = m.dataset.level !== level || m.dataset.metric !== metric;
  };
  if (matrices.length) {
    choose.addEventListener("change", showMatrix);
    showMatrix();
  } else choose.hidden = true;

  // the gallery: by domain, a few of each until asked for more
  const pick = form("pick");
  const showGallery = () => {
    const { domain, trained, label } = Object.fromEntries(new FormData(pick));
    for (const part of all(".domain")) {
      const cards = all("figure", part);
      const fit = cards.filter(
        (card) => (!trained || card.dataset.trained === trained) && (!label || card.dataset.label === label),
      );
      const most = part.dataset.open ? fit.length : Number(part.querySelector(".cards").dataset.first);
      for (const card of cards) card.hidden = !fit.slice(0, most).includes(card);
      part.hidden = (domain && domain !== part.dataset.domain) || !fit.length;
      part.querySelector("h3 small").textContent = `${Math.min(most, fit.length)} of ${fit.length}, most wrong first`;
      const more = part.querySelector(".more");
      more.hidden = fit.length <= most;
      more.textContent = `Show ${fit.length - most} more`;
    }
  };
  if (pick) {
    pick.addEventListener("change", showGallery);
    for (const more of all(".domain .more")) {
      more.addEventListener("click", () => {
        more.closest(".domain").dataset.open = "yes";
        showGallery();
      });
    }
    showGallery();
  }

  // the rows: filter by word and column, sort by a column's head
  const filter = form("filter");
  const body = document.querySelector(".rows tbody");
  const lines = [...body.rows];
  const text = (line, column) => line.cells[column].firstChild.textContent.trim();
  const number = (line, column) => Number(line.cells[column].dataset.v);
  const further = document.querySelector("#rows .more");
  let most = matchMedia("(max-width: 760px)").matches ? 12 : 100;
  const showRows = () => {
    const want = Object.fromEntries(new FormData(filter));
    const fixed = [want.trained_on, want.tested_on, want.category, "", want.metric];
    let found = 0;
    for (const line of body.rows) {
      const fit =
        (want.old || !line.classList.contains("old")) &&
        fixed.every((value, column) => !value || text(line, column) === value) &&
        line.textContent.toLowerCase().includes(want.text.trim().toLowerCase());
      found += fit;
      line.hidden = !fit || found > most;
    }
    filter.querySelector("output").textContent = `${found} of ${lines.length} rows`;
    further.hidden = found <= most;
    further.textContent = `Show ${found - most} more`;
  };
  const heads = all(".rows thead th");
  const sort = (column, down) => {
    const numeric = "v" in (lines[0]?.cells[column]?.dataset ?? {});
    const compare = numeric
      ? (a, b) => number(a, column) - number(b, column)
      : (a, b) => text(a, column).localeCompare(text(b, column), undefined, { numeric: true });
    body.append(...(column < 0 ? lines : [...lines].sort((a, b) => (down ? -compare(a, b) : compare(a, b)))));
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    showRows();
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const numbers = "v" in (lines[0]?.cells[column]?.dataset ?? {});
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(column, now ? now === "ascending" : numbers);
    });
  });
  filter.addEventListener("input", (event) => {
    const by = event.target.name === "sort" ? event.target.value : null;
    if (by === null) showRows();
    else sort(by === "" ? -1 : Number(by), by === "5");
  });
  further.addEventListener("click", () => {
    most = lines.length;
    showRows();
  });
  showRows();

  // a link to a run opens it
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", open);
  open();
})();
