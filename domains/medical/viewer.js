// Voxels of a scan, and a colour and a code each, in; three linked planes out (of one slice its own), as radiologists look at them.
// Axes: 0 to the right, 1 to the front, 2 to the top; a place is an index of the shown voxels along each.
"use strict";
globalThis.makeStage = (host, scene) => {
  const { shape, picks, grid, affine, values, scale, window: first, presets, windows, views, truth } = scene;
  const steps = [1, shape[0], shape[0] * shape[1]], starts = [0, shape[0], shape[0] + shape[1]];
  const spacing = [0, 1, 2].map((a) => Math.hypot(affine[a], affine[4 + a], affine[8 + a]));
  const whole = (axis, i) => picks[starts[axis] + i]; // the slice of the scan that a shown one is
  const extents = [0, 1, 2].map((a) => (whole(a, shape[a] - 1) - whole(a, 0) + 1) * spacing[a]); // mm
  const PLANES = [ // across, down and through; both count down: right and top lie at the ends of their axes
    { name: "axial", across: 0, down: 1, through: 2, sides: "RLAP" },
    { name: "coronal", across: 0, down: 2, through: 1, sides: "RLSI" },
    { name: "sagittal", across: 1, down: 2, through: 0, sides: "APSI" },
  ].filter(({ across, down }) => (grid[across] > 1 && grid[down] > 1) || grid.filter((n) => n > 1).length < 2); // of one slice the others are lines
  const EDGE = [64, 224, 255], INPUT = 512; // the colour around the truth; steps of a handle
  const place = shape.map((n) => n >> 1);
  let [low, high] = first, rgb = null, codes = null, ends = [0, 255], opacity = 0.6, threshold = 0, crossed = true, rimmed = true, waiting = false;

  function make(parent, tag, kind = "", text = "") {
    const made = parent.appendChild(document.createElement(tag));
    made.className = kind;
    made.textContent = text;
    return made;
  }

  function range(parent, label, min, max, step, value, change) {
    const input = make(parent, "input");
    Object.assign(input, { type: "range", min, max, step, value });
    input.setAttribute("aria-label", label);
    input.addEventListener("input", () => change(Number(input.value)));
    return input;
  }

  function check(parent, text, change) {
    const label = make(parent, "label", "check"), input = make(label, "input");
    Object.assign(input, { type: "checkbox", checked: true });
    label.append(` ${text}`);
    input.addEventListener("change", () => { change(input.checked); later(); });
  }

  const row = make(host, "div", "planes"), longest = Math.max(...extents);
  for (const plane of PLANES) {
    const figure = make(row, "figure", "plane"), field = make(figure, "div", "field");
    field.style.setProperty("--ratio", longest / Math.max(extents[plane.down], 0.4 * longest)); // on a phone no more black than letters need
    plane.canvas = make(field, "canvas");
    plane.canvas.tabIndex = 0;
    plane.canvas.setAttribute("role", "application");
    plane.canvas.setAttribute("aria-label", `${plane.name} plane. Arrow keys go through its slices.`);
    [...plane.sides].forEach((letter, i) => make(field, "b", ["left", "right", "top", "bottom"][i], letter));
    const caption = make(figure, "figcaption");
    make(caption, "strong", "", plane.name);
    plane.words = make(caption, "span");
    plane.slider = range(figure, `${plane.name} slice`, 0, shape[plane.through] - 1, 1, 0, (i) => go(plane.through, i));
    plane.slider.hidden = shape[plane.through] < 2;
    plane.small = document.createElement("canvas"); // a pixel a voxel
    plane.small.width = shape[plane.across];
    plane.small.height = shape[plane.down];
    plane.pixels = new ImageData(plane.small.width, plane.small.height);
    listen(plane);
  }
  const told = make(host, "p"), tools = make(host, "div", "tools"), frame = make(tools, "div", "window");
  make(frame, "span", "", "window");
  const lowWords = make(frame, "output"), handles = make(frame, "div", "handles"), highWords = make(frame, "output");
  const top = values.reduce((a, b) => Math.max(a, b), 0), darkest = scale[0], reach = Math.max(top * scale[1], 1e-12);
  const handle = (label, change) => range(handles, label, 0, INPUT, 1, 0, (i) => { change(darkest + (reach * i) / INPUT); aim(low, high); });
  const lowInput = handle("black, in the file's own units", (v) => { low = Math.min(v, high - reach / INPUT); });
  const highInput = handle("white, in the file's own units", (v) => { high = Math.max(v, low + reach / INPUT); });
  if (presets.length) {
    const choice = make(frame, "select");
    choice.setAttribute("aria-label", "windows of CT");
    ["as read", ...presets].forEach((name) => make(choice, "option", "", name));
    choice.addEventListener("change", () => { const i = choice.selectedIndex - 1; aim(...(i < 0 ? first : windows.subarray(2 * i, 2 * i + 2))); });
  }
  if (truth) check(tools, "outline of the truth", (on) => { rimmed = on; });
  check(tools, "cross", (on) => { crossed = on; });

  const digits = scale[1] >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(scale[1])));
  function aim(from, to) { // window
    [low, high] = [from, to];
    const at = (v) => Math.round(((v - darkest) / reach) * INPUT);
    lowInput.value = at(low);
    highInput.value = at(high);
    lowWords.textContent = low.toFixed(digits);
    highWords.textContent = high.toFixed(digits);
    later();
  }

  function world([x, y, z]) { // mm in RAS+
    const at = [whole(0, x), whole(1, y), whole(2, z)];
    return [0, 1, 2].map((r) => affine[4 * r] * at[0] + affine[4 * r + 1] * at[1] + affine[4 * r + 2] * at[2] + affine[4 * r + 3]);
  }

  function tell(at) {
    const i = at[0] + at[1] * steps[1] + at[2] * steps[2];
    const score = codes ? ` · score ${(codes[i] / 255).toFixed(2)}` : "";
    const mm = world(at).map((v, a) => `${"xyz"[a]} ${v.toFixed(1)}`).join(", ");
    const marked = truth ? ` · ${truth[i] ? "anomalous by the truth" : "normal by the truth"}` : "";
    told.textContent = `value ${(darkest + scale[1] * values[i]).toFixed(digits)}${score} · ${mm} mm${marked}`;
  }

  function go(axis, i) {
    place[axis] = Math.max(0, Math.min(shape[axis] - 1, i));
    later();
  }

  // The square of a plane holds the longest side of the scan, so that all three have one scale.
  function layout({ canvas, across, down }) {
    const unit = canvas.width / longest, wide = extents[across] * unit, tall = extents[down] * unit;
    return { left: (canvas.width - wide) / 2, top: (canvas.height - tall) / 2, wide, tall };
  }

  function under(plane, event) { // the place that a pointer is at, or null beside the scan
    const box = plane.canvas.getBoundingClientRect(), { left, top, wide, tall } = layout(plane);
    const x = ((event.clientX - box.left) * plane.canvas.width / box.width - left) / wide;
    const y = ((event.clientY - box.top) * plane.canvas.height / box.height - top) / tall;
    if (x < 0 || y < 0 || x >= 1 || y >= 1) return null;
    const at = [...place];
    at[plane.across] = shape[plane.across] - 1 - Math.floor(x * shape[plane.across]);
    at[plane.down] = shape[plane.down] - 1 - Math.floor(y * shape[plane.down]);
    return at;
  }

  function paint({ pixels, across, down, through }) {
    const out = pixels.data, gain = 255 / (high - low || 1), offset = darkest - low, width = shape[across], height = shape[down];
    const base = place[through] * steps[through], cut = threshold * 255, sharp = ends[1] - ends[0];
    for (let y = 0, o = 0; y < height; y++)
      for (let x = 0, i = base + (height - 1 - y) * steps[down] + (width - 1) * steps[across]; x < width; x++, o += 4, i -= steps[across]) {
        const grey = Math.max(0, Math.min(255, (offset + scale[1] * values[i]) * gain));
        const shown = rgb && codes[i] >= cut;
        const share = shown ? opacity * (0.25 + 0.55 * Math.max(0, Math.min(1, (codes[i] - ends[0]) / sharp))) : 0; // as over the views
        for (let c = 0; c < 3; c++) out[o + c] = shown ? grey * (1 - share) + rgb[3 * i + c] * share : grey;
        out[o + 3] = 255;
        if (truth && rimmed && truth[i] && rim(i, x, y, width, height, steps[across], steps[down])) out.set(EDGE, o);
      }
  }

  const rim = (i, x, y, width, height, right, up) =>
    !x || !y || x === width - 1 || y === height - 1 || !truth[i - right] || !truth[i + right] || !truth[i - up] || !truth[i + up];

  function draw() {
    waiting = false;
    for (const plane of PLANES) {
      const { canvas, small, across, down, through } = plane, pen = canvas.getContext("2d"), { left, top, wide, tall } = layout(plane);
      paint(plane);
      small.getContext("2d").putImageData(plane.pixels, 0, 0);
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.imageSmoothingQuality = "high";
      pen.drawImage(small, left, top, wide, tall);
      if (crossed) {
        const x = left + ((shape[across] - 0.5 - place[across]) / shape[across]) * wide, y = top + ((shape[down] - 0.5 - place[down]) / shape[down]) * tall;
        pen.fillStyle = "rgba(127, 196, 210, 0.55)";
        pen.fillRect(Math.round(x), 0, 1, canvas.height);
        pen.fillRect(0, Math.round(y), canvas.width, 1);
      }
      const at = place[through];
      plane.slider.value = at;
      plane.words.textContent = `slice ${whole(through, at) + 1} of ${grid[through]} · ${"xyz"[through]} ${world(place)[through].toFixed(1)} mm`;
      plane.slider.setAttribute("aria-valuetext", plane.words.textContent);
    }
    tell(place);
  }

  function later() { if (!waiting) { waiting = true; requestAnimationFrame(draw); } }

  function jump(plane, event) {
    const at = under(plane, event);
    if (at) { at.forEach((i, axis) => { place[axis] = i; }); later(); }
  }

  function listen(plane) {
    const { canvas, through } = plane;
    let drag = null; // a finger: where it came down, and the slice then
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      if (event.pointerType === "touch") drag = { x: event.clientX, at: place[through], moved: false };
      else jump(plane, event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (drag) {
        const by = Math.round(((event.clientX - drag.x) / canvas.clientWidth) * shape[through]);
        drag.moved ||= Math.abs(event.clientX - drag.x) > 6;
        if (drag.moved) go(through, drag.at + by);
      } else if (event.buttons) jump(plane, event);
      else { const at = under(plane, event); tell(at || place); }
    });
    canvas.addEventListener("pointerup", (event) => { if (drag && !drag.moved) jump(plane, event); drag = null; });
    canvas.addEventListener("pointercancel", () => { drag = null; }); // the finger scrolls the page
    canvas.addEventListener("pointerleave", () => tell(place));
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); go(through, place[through] - Math.sign(event.deltaY)); }, { passive: false });
    const keys = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -1e6, End: 1e6 };
    canvas.addEventListener("keydown", (event) => {
      if (keys[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); go(through, place[through] + keys[event.key]); }
    });
  }

  function turn(number) { // to a slice, and to its most suspicious voxel
    const [axis, slice] = views.subarray(2 * number, 2 * number + 2);
    let nearest = 0;
    for (let i = 1; i < shape[axis]; i++) if (Math.abs(whole(axis, i) - slice) < Math.abs(whole(axis, nearest) - slice)) nearest = i;
    place[axis] = nearest;
    if (codes) {
      const [a, b] = [0, 1, 2].filter((other) => other !== axis), base = nearest * steps[axis];
      let most = -1;
      for (let i = 0; i < shape[a]; i++)
        for (let j = 0; j < shape[b]; j++) {
          const code = codes[base + i * steps[a] + j * steps[b]];
          if (code > most) { most = code; place[a] = i; place[b] = j; }
        }
    }
    later();
  }

  function resize() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const { canvas } of PLANES) {
      canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    }
    draw();
  }

  aim(low, high);
  new ResizeObserver(resize).observe(row);
  resize();
  return {
    colour(colours, found, from, to) {
      [rgb, codes, ends] = [colours, found, [from, to]];
      later();
    },
    turn,
    controls: [
      { label: "map", min: 0, max: 1, step: 0.01, value: 0.6, set(value) { opacity = value; later(); } },
      { label: "from score", min: 0, max: 1, step: 0.01, value: 0, set(value) { threshold = value; later(); } },
    ],
  };
};
