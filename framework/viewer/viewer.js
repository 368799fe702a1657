// The page's data in; colours for the stage, a legend, and views that turn it. The stage is the domain's:
// makeStage(host, scene) -> {colour(rgb, codes and ends of the scale, of every element), turn(number of a view),
// controls: [{label, min, max, value, set}]}
"use strict";
(async () => {
  const at = (id) => document.getElementById(id);
  const types = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, int32: Int32Array, float32: Float32Array };
  const given = JSON.parse(at("data").textContent);
  const scene = {}, layers = [];
  for (const [name, packed] of Object.entries(given.scene)) scene[name] = await unpack(packed);
  for (const layer of given.layers) layers.push({ ...layer, codes: await unpack(layer.codes), colours: await unpack(layer.colours) });
  const stage = makeStage(at("stage"), scene);
  let chosen = layers[0];

  async function unpack({ type, bytes, shape, texts, deflated, stepped }) {
    if (texts) return texts;
    const text = atob(bytes);
    let plain = new Uint8Array(text.length);
    for (let i = 0; i < plain.length; i++) plain[i] = text.charCodeAt(i);
    if (deflated) {
      const apart = new Uint8Array(await new Response(new Blob([plain]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
      if (stepped) for (let i = 1; i < apart.length; i++) apart[i] += apart[i - 1];
      const size = types[type].BYTES_PER_ELEMENT, count = apart.length / size;
      plain = new Uint8Array(apart.length);
      for (let b = 0, from = 0; b < size; b++) for (let i = 0, to = b; i < count; i++, to += size) plain[to] = apart[from++];
    }
    const found = new types[type](plain.buffer);
    found.shape = shape;
    return found;
  }

  function make(parent, tag, kind = "", text = "") {
    const made = parent.appendChild(document.createElement(tag));
    made.className = kind;
    made.textContent = text;
    return made;
  }

  function range(layer) { // codes of the first and the last colour
    if (!layer.scale || !at("narrow").firstElementChild.checked) return [0, layer.top];
    let low = layer.top, high = 0;
    for (const code of layer.codes) { if (code < low) low = code; if (code > high) high = code; }
    return high > low ? [low, high] : [0, layer.top];
  }

  function paint() {
    const { codes, colours } = chosen, last = colours.length / 3 - 1, [low, high] = range(chosen);
    const rgb = new Uint8Array(codes.length * 3);
    for (let i = 0; i < codes.length; i++) {
      const k = 3 * Math.round(((codes[i] - low) * last) / (high - low));
      rgb[3 * i] = colours[k];
      rgb[3 * i + 1] = colours[k + 1];
      rgb[3 * i + 2] = colours[k + 2];
    }
    stage.colour(rgb, codes, low, high);
    at("narrow").hidden = !chosen.scale;
    legend(low, high);
  }

  function strip(parent, colours) { // drawn, as a style in the markup would be refused where the page is served
    const canvas = make(parent, "canvas"), count = colours.length / 3;
    canvas.width = count;
    canvas.height = 1;
    const pixels = new ImageData(count, 1);
    for (let i = 0; i < count; i++) pixels.data.set([colours[3 * i], colours[3 * i + 1], colours[3 * i + 2], 255], 4 * i);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  function legend(low, high) {
    const host = at("legend"), { colours, marks, top, scale } = chosen;
    const ticks = scale ? [0, 0.25, 0.5, 0.75, 1].map((x) => ((low + x * (high - low)) / top).toFixed(2)) : chosen.ticks;
    host.replaceChildren();
    for (const [word, colour] of marks) {
      const mark = make(host, "div", "mark");
      strip(mark, colour);
      make(mark, "span", "", word);
    }
    if (ticks.length) {
      const ramp = make(host, "div", "ramp");
      strip(ramp, scale ? colours : colours.subarray(3));
      const row = make(ramp, "div", "ticks");
      for (const tick of ticks) make(row, "span", "", tick);
    }
    host.setAttribute("aria-label", `colours of ${chosen.name}: ${[...marks.map(([word]) => word), ...ticks].join(", ")}`);
  }

  function turn(number) {
    stage.turn(number);
    [...(at("views")?.children ?? [])].forEach((button, i) => button.setAttribute("aria-pressed", (given.views[i].number ?? i) === number));
  }

  at("layers").hidden = layers.length === 1;
  for (const layer of layers) {
    const label = make(at("layers"), "label"), input = make(label, "input");
    Object.assign(input, { type: "radio", name: "layer", value: layer.name, checked: layer === chosen, disabled: !!layer.why });
    make(label, "span", "", layer.name);
    label.title = layer.why;
    input.addEventListener("change", () => { chosen = layer; paint(); });
  }
  at("narrow").addEventListener("change", paint);
  for (const { label, min, max, step, value, set } of stage.controls) {
    const row = make(at("controls"), "label", "slide", label), input = make(row, "input");
    Object.assign(input, { type: "range", min, max, step, value });
    input.addEventListener("input", () => set(Number(input.value)));
  }
  for (const why of new Set(layers.map((layer) => layer.why && `Colour by ${layer.name}: ${layer.why}.`))) if (why) make(at("shape"), "p", "note", why);
  given.views.forEach(({ view, map, caption, score, number }, i) => {
    const button = make(at("views"), "button");
    button.type = "button";
    button.setAttribute("aria-pressed", false);
    const pair = make(button, "div", "pair");
    for (const [kind, address] of [["view", view], ["map", map]]) {
      const picture = make(pair, "img", kind);
      picture.alt = kind === "view" ? `view ${i + 1} ${caption}` : "";
      picture.src = address;
    }
    const words = make(button, "div", "words");
    make(words, "span", "", `${i + 1}${caption ? ` · ${caption}` : ""}`);
    make(words, "b", "", score.toFixed(2));
    button.addEventListener("click", () => turn(number ?? i));
  });
  at("opacity")?.addEventListener("input", () => {
    for (const map of document.querySelectorAll("#views .map")) map.style.opacity = at("opacity").value / 100;
  });
  addEventListener("message", ({ source, data }) => { if (source === parent && Number.isInteger(data?.turn)) turn(data.turn); });
  paint();
  turn(given.start);
})();
