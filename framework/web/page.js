// A file and questions go to the server; pictures, a score and answers come back, shown as text and never as markup.
"use strict";
const at = (id) => document.getElementById(id);
const { mostMb } = document.body.dataset;
let talk = ""; // the secret under which the server keeps the talk
let stop = new AbortController(); // ends what is under way when the visitor takes another file

async function send(file) {
  forget();
  const domain = at("domain").value, known = at("domain").selectedOptions[0].dataset.endings.split(" ");
  if (!known.some((ending) => file.name.toLowerCase().endsWith(ending)))
    return fail(`${file.name}: ${domain ? `domain '${domain}' does not read` : "no domain reads"} this kind of file. Known endings: ${known.join(", ")}.`);
  if (file.size > mostMb * 2 ** 20) return fail(`${file.name}: the file is larger than ${mostMb} MB. Send a smaller one.`);
  at("choose").hidden = true;
  at("status").textContent = `Reading ${file.name} …`;
  const mine = stop;
  try {
    const response = await fetch(`files?name=${encodeURIComponent(file.name)}&domain=${encodeURIComponent(domain)}`, {
      method: "POST", body: file, signal: mine.signal, headers: { "Content-Type": "application/octet-stream" },
    });
    const told = await answered(response);
    if (mine === stop) show(told);
  } catch (error) {
    if (mine === stop) { at("choose").hidden = false; fail(error.message); }
  }
  if (mine === stop) at("status").textContent = "";
}

async function answered(response) {
  const json = (response.headers.get("Content-Type") || "").startsWith("application/json");
  const told = json ? await response.json() : {};
  if (!response.ok || told.error) throw new Error(told.error || "The server failed; its terminal tells why.");
  return told;
}

function show(told) {
  talk = told.talk;
  at("name").textContent = told.name;
  const several = told.of > 1;
  at("about").textContent = `read as ${told.domain}` + (several ? `; the model is shown ${told.shown.length} of ${told.of} views, the most suspicious` : "");
  at("score").textContent = told.score.toFixed(3);
  at("adverb").textContent = `${several ? "its worst view: " : ""}${told.adverb} suspicious`;
  at("views").className = told.shown.length > 1 ? "" : "one";
  at("views").replaceChildren(...told.views.map((view, i) => figure(i, several ? words(view) : "", told.viewer && told.shown[i], told.sliced ? "Go to this slice" : "Turn to this view")));
  at("viewer").hidden = !told.viewer;
  at("viewer").className = told.sliced ? "scan" : "";
  if (told.viewer) at("viewer").src = `talks/${talk}/viewer`;
  at("warnings").replaceChildren(...told.warnings.map((line) => make("p", "note", line)));
  at("suggested").replaceChildren(...told.questions.map((text) => {
    const button = make("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => ask(text));
    return button;
  }));
  fade();
  at("result").hidden = false;
  at("name").focus();
}

function words({ number, caption, score }) { // as the model names them
  return `image ${number}${caption ? `, ${caption}` : ""}: ${score.toFixed(2)}`;
}

function figure(i, caption, view, go) {
  const found = document.createElement("figure");
  const frame = found.appendChild(document.createElement("div"));
  for (const [kind, alt] of [["view", caption || "the file as the model sees it"], ["map", `map of ${caption || "it"}: the brighter, the more anomalous`]]) {
    const picture = frame.appendChild(document.createElement("img"));
    picture.className = kind;
    picture.alt = alt;
    picture.src = `talks/${talk}/${i}/${kind}.png`;
  }
  if (caption) found.append(make("figcaption", "", caption));
  if (Number.isInteger(view)) {
    const turn = found.appendChild(make("button", "turn", go));
    turn.type = "button";
    turn.addEventListener("click", () => at("viewer").contentWindow.postMessage({ turn: view }, "*")); // it has no origin
  }
  return found;
}

async function ask(question) {
  if (!question.trim() || at("send").disabled) return;
  const mine = stop;
  busy(true);
  at("question").value = "";
  at("talk").append(make("p", "asked", question));
  const answer = at("talk").appendChild(make("p", "answer waiting", "…"));
  let text = "";
  try {
    const response = await fetch(`talks/${talk}`, {
      method: "POST", body: JSON.stringify({ question }), signal: mine.signal, headers: { "Content-Type": "application/json" },
    });
    if (!response.ok) await answered(response);
    let done = false;
    for await (const line of lines(response.body)) {
      if (line.error) throw new Error(line.error);
      if (line.waiting) answer.textContent = `Waiting, ${line.waiting} before you …`;
      if (line.text) text += line.text;
      if (text.trim()) { answer.className = "answer"; answer.textContent = text.trimStart(); }
      if (line.done || line.stopped) { done = true; end(answer, text.trim(), line.stopped); }
      at("talk").scrollTop = at("talk").scrollHeight;
    }
    if (!done) throw new Error("The answer broke off. Ask again.");
  } catch (error) {
    if (mine !== stop) return; // another file was taken
    answer.className = "answer wrong";
    answer.textContent = error.message;
    at("question").value = question;
  }
  busy(false);
  at("heard").textContent = answer.textContent; // for those who hear the page: whole, and once
  at("question").focus();
}

function end(answer, text, stopped) {
  answer.className = "answer";
  answer.textContent = text || (stopped ? "" : "(The model said nothing.)");
  if (stopped) answer.append(make("span", "stopped", text ? " (stopped)" : "(stopped before it began)"));
}

function halt() {
  if (at("stop").hidden || at("stop").disabled) return;
  at("stop").disabled = true;
  fetch(`talks/${talk}/stop`, { method: "POST" }).catch(() => {});
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

function busy(is) {
  at("send").disabled = at("send").hidden = is;
  at("stop").hidden = !is;
  at("stop").disabled = false;
  for (const button of at("suggested").children) button.disabled = is;
}

function forget() {
  stop.abort();
  stop = new AbortController();
  if (talk) fetch(`talks/${talk}`, { method: "DELETE", keepalive: true }).catch(() => {});
  talk = "";
  at("result").hidden = true;
  at("choose").hidden = false;
  at("viewer").hidden = true;
  at("viewer").removeAttribute("src");
  for (const id of ["talk", "views", "warnings", "suggested", "status", "error", "heard"]) at(id).replaceChildren();
  at("question").value = at("file").value = "";
  busy(false);
}

function fade() {
  const words = at("shown").textContent = `${at("opacity").value} %`;
  at("opacity").setAttribute("aria-valuetext", words);
  for (const map of document.querySelectorAll(".map")) map.style.opacity = at("opacity").value / 100;
}

function fail(line) { at("error").textContent = line; }

function make(tag, kind, text) {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

at("file").addEventListener("change", () => { if (at("file").files.length) send(at("file").files[0]); });
at("new").addEventListener("click", () => { forget(); at("file").focus(); });
at("stop").addEventListener("click", halt);
addEventListener("keydown", (event) => { if (event.key === "Escape") halt(); });
at("opacity").addEventListener("input", fade);
at("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(at("question").value); });
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); ask(at("question").value); }
});
for (const kind of ["dragover", "dragleave", "drop"]) // on the whole page, or a file beside the box would replace the page
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });
addEventListener("pagehide", forget);
