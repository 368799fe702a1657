// A cloud or a mesh, and a colour each, in; a canvas in which it turns out. WebGL2, no library.
// Camera axes: x right, y down, z forward, as those of the rendered views.
"use strict";
globalThis.makeStage = (host, scene) => {
  const { place, faces, cameras, lens, pitch } = scene, count = place.length / 3;
  const canvas = host.appendChild(document.createElement("canvas")), gl = canvas.getContext("webgl2", { antialias: false });
  const words = host.appendChild(document.createElement("p"));
  if (!gl) {
    canvas.remove();
    words.className = "failed";
    words.textContent = "This browser has no WebGL 2, which draws the shape. The views and their maps are whole.";
    return { colour() {}, turn() {}, controls: [] };
  }
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "The shape. Arrow keys turn it, plus and minus zoom, 0 shows it whole.");
  words.textContent = "drag to turn, wheel or pinch to zoom, arrow keys + − 0";

  const SHAPE = [`#version 300 es
    uniform mat3 turn; uniform vec3 shift; uniform vec2 lens, reach; uniform float size;
    in vec3 place, tint; out vec3 colour, spot;
    void main() {
      vec3 p = turn * (place * 2.0 - 1.0) + shift;
      float n = reach.x, f = reach.y;
      gl_Position = vec4(p.x * lens.x, -p.y * lens.y, ((f + n) * p.z - 2.0 * n * f) / (f - n), p.z);
      gl_PointSize = clamp(size / p.z, 1.5, 64.0);
      colour = tint; spot = p;
    }`, `#version 300 es
    precision highp float;
    uniform bool solid; in vec3 colour, spot; out vec4 seen;
    void main() {
      float light = 1.0;
      if (solid) light = 0.55 + 0.45 * abs(normalize(cross(dFdx(spot), dFdy(spot))).z);
      else if (distance(gl_PointCoord, vec2(0.5)) > 0.5) discard;
      seen = vec4(colour * light, 1.0);
    }`];
  // Eye-dome lighting (Boucheny 2009): a pixel is darker the further it lies behind its neighbours. Needs no normals.
  const LIT = [`#version 300 es
    void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`, `#version 300 es
    precision highp float;
    uniform highp sampler2D image, depth; uniform vec2 reach; uniform float strength, step; out vec4 seen;
    float away(ivec2 at) { float d = texelFetch(depth, at, 0).r; return d >= 1.0 || d <= 0.0 ? 0.0 : log2(reach.x * reach.y / (reach.y - d * (reach.y - reach.x))); }
    void main() {
      ivec2 at = ivec2(gl_FragCoord.xy);
      if (texelFetch(depth, at, 0).r >= 1.0) { seen = vec4(0.0); return; }
      float here = away(at), sum = 0.0;
      for (int i = 0; i < 8; i++) {
        float angle = float(i) * 0.785398;
        float there = away(at + ivec2(round(step * vec2(cos(angle), sin(angle)))));
        if (there != 0.0) sum += min(max(0.0, here - there), 0.05);
      }
      seen = vec4(texelFetch(image, at, 0).rgb * max(0.32, exp(-strength * sum / 8.0)), 1.0);
    }`];

  function program([vertex, fragment]) {
    const made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text.trim());
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.bindAttribLocation(made, 0, "place");
    gl.bindAttribLocation(made, 1, "tint");
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
    return made;
  }

  function texture(inside, format, kind) {
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    gl.texImage2D(gl.TEXTURE_2D, 0, inside, canvas.width, canvas.height, 0, format, kind, null);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    return made;
  }

  function attribute(slot, values, type) {
    const made = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, 3, type, true, 0, 0);
    return made;
  }

  const drawing = program(SHAPE), lighting = program(LIT), target = gl.createFramebuffer();
  const shape = gl.createVertexArray(), nothing = gl.createVertexArray();
  gl.bindVertexArray(shape);
  attribute(0, place, gl.UNSIGNED_SHORT);
  const tints = attribute(1, new Uint8Array(3 * count), gl.UNSIGNED_BYTE);
  if (faces) {
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, faces, gl.STATIC_DRAW);
  }
  let turned, shift, image, depth, grown = 1, waiting = false, home = 0;

  function resize() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (image) for (const old of [image, depth]) gl.deleteTexture(old);
    image = texture(gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE);
    depth = texture(gl.DEPTH_COMPONENT24, gl.DEPTH_COMPONENT, gl.UNSIGNED_INT);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, image, 0);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, depth, 0);
    draw();
  }

  const focal = () => (lens[0] * Math.min(canvas.width, canvas.height)) / 2; // pixels
  const set = (name, ...values) => gl[`uniform${values.length}f`](gl.getUniformLocation(drawing, name), ...values);

  function draw() {
    waiting = false;
    const { width, height } = canvas, reach = [Math.max(0.02, shift[2] - 1.3), shift[2] + 1.3];
    gl.viewport(0, 0, width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.useProgram(drawing);
    gl.bindVertexArray(shape);
    gl.uniformMatrix3fv(gl.getUniformLocation(drawing, "turn"), true, turned);
    set("shift", ...shift);
    set("lens", (2 * focal()) / width, (2 * focal()) / height);
    set("reach", ...reach);
    set("size", 2.8 * grown * pitch[0] * focal());
    gl.uniform1i(gl.getUniformLocation(drawing, "solid"), faces ? 1 : 0);
    if (faces) gl.drawElements(gl.TRIANGLES, faces.length, faces instanceof Uint16Array ? gl.UNSIGNED_SHORT : gl.UNSIGNED_INT, 0);
    else gl.drawArrays(gl.POINTS, 0, count);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.disable(gl.DEPTH_TEST);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(lighting);
    gl.bindVertexArray(nothing);
    [image, depth].forEach((texture, i) => {
      gl.activeTexture(gl.TEXTURE0 + i);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.uniform1i(gl.getUniformLocation(lighting, ["image", "depth"][i]), i);
    });
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform2f(gl.getUniformLocation(lighting, "reach"), ...reach);
    gl.uniform1f(gl.getUniformLocation(lighting, "strength"), 0.5 * focal());
    gl.uniform1f(gl.getUniformLocation(lighting, "step"), Math.max(1.5, width / 500));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  function later() { if (!waiting) { waiting = true; requestAnimationFrame(draw); } }

  function turn(number) {
    home = number;
    const pose = cameras.subarray(16 * number, 16 * number + 16);
    turned = Float32Array.from([0, 1, 2, 4, 5, 6, 8, 9, 10], (i) => pose[i]);
    shift = [pose[3], pose[7], pose[11]];
    later();
  }

  function rotate(right_rad, down_rad) { // as a hand on the front of the shape moves it
    const [a, b, c, d] = [Math.cos(right_rad), -Math.sin(right_rad), Math.cos(down_rad), Math.sin(down_rad)];
    const by = [a, 0, b, d * b, c, -d * a, -c * b, d, c * a]; // about x after about y
    turned = Float32Array.from(turned, (_, i) => [0, 1, 2].reduce((sum, k) => sum + by[3 * ((i / 3) | 0) + k] * turned[3 * k + (i % 3)], 0));
    later();
  }

  function zoom(factor) { shift[2] = Math.min(12, Math.max(0.35, shift[2] * factor)); later(); }

  const touches = new Map();
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); touches.set(event.pointerId, event); });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => touches.delete(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    const before = touches.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY], others = [...touches.values()].filter((t) => t !== before);
    if (!others.length && !event.shiftKey) rotate((dx / canvas.clientWidth) * Math.PI, (dy / canvas.clientWidth) * Math.PI);
    else {
      const pixel = (shift[2] / focal()) * (canvas.width / canvas.clientWidth) / (others.length + 1);
      shift[0] += dx * pixel;
      shift[1] += dy * pixel;
      const apart = (from) => Math.hypot(from.clientX - others[0].clientX, from.clientY - others[0].clientY) + 1;
      if (others.length) zoom(apart(before) / apart(event));
      later();
    }
    touches.set(event.pointerId, event);
  });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(Math.sign(event.deltaY) * 0.08)); }, { passive: false });
  const keys = {
    ArrowLeft: () => rotate(-0.12, 0), ArrowRight: () => rotate(0.12, 0), ArrowUp: () => rotate(0, -0.12), ArrowDown: () => rotate(0, 0.12),
    "+": () => zoom(0.9), "=": () => zoom(0.9), "-": () => zoom(1.1), 0: () => turn(home),
  };
  canvas.addEventListener("keydown", (event) => { if (keys[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); keys[event.key](); } });
  canvas.addEventListener("webglcontextlost", () => { words.textContent = "The graphics card let go of the shape. Load the page again."; });
  turn(0);
  new ResizeObserver(resize).observe(canvas);
  resize();

  return {
    colour(rgb) {
      gl.bindBuffer(gl.ARRAY_BUFFER, tints);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, rgb);
      later();
    },
    turn,
    controls: faces ? [] : [{ label: "point size", min: 0.3, max: 3, step: 0.05, value: 1, set(value) { grown = value; later(); } }],
  };
};
