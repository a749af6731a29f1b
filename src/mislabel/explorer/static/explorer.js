// The page: loads the data, and keeps map, list and panels in step with the view.
"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);
  const start = performance.now();
  const MOST_CORNERS = 60;

  // The first problems stay: what follows from them says less.
  function problem(text) {
    const lines = $("problem").textContent.split("\n").filter(Boolean);
    if (lines.length < 3 && !lines.includes(text)) $("problem").textContent = [...lines, text].join("\n");
    $("problem").hidden = false;
  }
  addEventListener("unhandledrejection", (event) => problem(String(event.reason?.message ?? event.reason)));

  const about = await mislabel.loadAbout();
  document.title = `Labels of ${about.data}`;
  $("title").textContent = document.title;
  const names = ["positions", ...about.sets.map((_, s) => `labels${s}`), "clean", "indices", "inclusion", "exclusion",
    "inclusion_error", "exclusion_error", "noise", "corrected"].filter((name) => about.columns[name]);
  const data = { labels: [] };
  await Promise.all(names.map(async (name) => { data[name] = await mislabel.load(name); }));
  data.labels = about.sets.map((_, s) => data[`labels${s}`]);

  const classes = about.classes.length;
  const sets = mislabel.makeSets(about, data);
  const marks = mislabel.makeMarks(about, data, problem);
  const state = mislabel.makeState({
    labels: 0, beside: -1, colour: "given", ring: first(), size: 1, show: "all", from: -1, to: -1,
    ...about.thresholds, at: -1, x: NaN, y: NaN, zoom: NaN, // no place: the whole map
    lasso: "", order: "index", page: 0,
  });
  let onward = true;
  let lassoing = false;
  let shownMask = null, shown = null, ringed = null, rows = new Uint32Array(0);
  legalise();

  const act = {
    set: (changes) => state.set(changes),
    choose: (i) => { state.set({ at: i }); bringIn(i); },
    mark,
    onward: (value) => { if (value !== undefined) onward = value; return onward; },
    exportList,
    exportMarks,
    clearMarks: () => { if (confirm("Take all marks of these labels away?")) { marks.clear(state.values.labels); refresh(new Set(["marks"])); } },
  };
  const panels = mislabel.makePanels(about, data, act);
  const map = mislabel.makeMap($("map"), about, data, {
    drawn: () => { document.documentElement.dataset.drawn = String(Math.round(performance.now() - start)); },
    moved: ({ x, y, zoom }) => state.set({ x: round(x, 4), y: round(y, 4), zoom: round(zoom, 3) }),
    lassoed: (polygon) => { setLasso(false); state.set({ lasso: lassoText(polygon), page: 0 }); },
    problem,
  });

  function first() {
    if (about.scored !== null && data.clean) return "incorrect-learned";
    return data.clean ? "flipped" : about.cleaned !== null ? "changed" : "none";
  }

  function round(value, digits) { return Number(value.toFixed(digits)); }

  // Values of the address that there are no data for become the defaults.
  function legalise() {
    const v = state.values, fixed = {};
    const whole = (name, low, high) => { if (!Number.isInteger(v[name]) || v[name] < low || v[name] >= high) fixed[name] = state.defaults[name]; };
    whole("labels", 0, about.sets.length);
    whole("beside", -1, about.sets.length);
    whole("from", -1, classes);
    whole("to", -1, classes);
    whole("at", -1, about.count);
    whole("page", 0, about.count);
    if (!(v.size >= 0.25 && v.size <= 4)) fixed.size = 1;
    if (!colours().includes(v.colour)) fixed.colour = "given";
    const set = fixed.labels ?? v.labels;
    if (!["none", "marked", ...sets.known(set)].includes(v.ring)) fixed.ring = "none";
    if (!["all", "marked", ...sets.known(set)].includes(v.show)) fixed.show = "all";
    state.replace(fixed);
  }

  function colours() {
    return ["given", ...(data.clean ? ["clean", "flipped"] : []),
      ...(about.scored === null ? [] : ["memorization", "inclusion", "exclusion"]),
      ...(about.cleaned === null ? [] : ["noise", "corrected"])];
  }

  const NAMES = {
    given: "label", clean: "clean label", flipped: "flipped", memorization: "memorization", inclusion: "inclusion probability",
    exclusion: "exclusion probability", noise: "noise score", corrected: "corrected label", none: "nothing", all: "all examples",
    marked: "marked", "incorrect-learned": "incorrect learned", memorized: "memorized", changed: "changed by cleaning", noisy: "probably wrong",
  };
  const RIGHT = [150, 160, 172], WRONG = [213, 94, 0], UNKNOWN = [128, 128, 128];

  // The colour of a value from 0 to 1; the darkest are left out on a dark page.
  function onScale(value) {
    const least = matchMedia("(prefers-color-scheme: dark)").matches ? 0.3 : 0;
    const share = least + (1 - least) * Math.min(1, Math.max(0, value));
    return about.scale[Math.round(share * (about.scale.length - 1))];
  }

  // RGBA of the shown points, in their order.
  function paint(by, set) {
    const found = new Uint8Array(4 * shown.length);
    const put = (k, colour, alpha) => {
      for (let part = 0; part < 3; part++) found[4 * k + part] = colour[part];
      found[4 * k + 3] = alpha;
    };
    const byClass = { given: data.labels[set], clean: data.clean, corrected: data.corrected }[by];
    if (byClass) {
      for (let k = 0; k < shown.length; k++) put(k, about.classColours[byClass[shown[k]]], 215);
      return found;
    }
    if (by === "flipped") {
      for (let k = 0; k < shown.length; k++) {
        const wrong = data.labels[set][shown[k]] !== data.clean[shown[k]];
        put(k, wrong ? WRONG : RIGHT, wrong ? 235 : 110);
      }
      return found;
    }
    const value = by === "memorization" ? (i) => data.inclusion[i] - data.exclusion[i] : (i) => data[by][i];
    for (let k = 0; k < shown.length; k++) {
      const v = value(shown[k]);
      if (Number.isNaN(v)) put(k, UNKNOWN, 40);
      else put(k, onScale(v), 225);
    }
    return found;
  }

  function legendEntries(by) {
    if (["given", "clean", "corrected"].includes(by)) {
      return about.classes.slice(0, 30).map((text, label) => ({ colour: about.classColours[label], text }));
    }
    if (by === "flipped") return [{ colour: RIGHT, text: "as the clean label" }, { colour: WRONG, text: "flipped" }];
    const entries = [0, 0.25, 0.5, 0.75, 1].map((share) => ({ colour: onScale(share), text: String(share) }));
    return by === "noise" ? entries : [...entries, { colour: UNKNOWN, text: "not known" }];
  }

  function lassoText(polygon) {
    const corners = polygon.length / 2, step = Math.max(1, Math.ceil(corners / MOST_CORNERS));
    const kept = [];
    for (let c = 0; c < corners; c += step) kept.push(round(polygon[2 * c], 3), round(polygon[2 * c + 1], 3));
    return kept.join(",");
  }

  function lassoPolygon() {
    const values = state.values.lasso ? state.values.lasso.split(",").map(Number) : [];
    return values.length >= 6 && values.length % 2 === 0 && values.every(Number.isFinite) ? values : [];
  }

  const has = (changed, ...wanted) => wanted.some((name) => changed.has(name));

  // Bring everything in step with the view; `changed` says which of its values are new.
  function refresh(changed) {
    const v = state.values;
    const set = v.labels, polygon = lassoPolygon(), of = marks.of(set);
    const thresholds = has(changed, "inclusion", "exclusion", "memorization", "noise");
    const filtered = has(changed, "all", "labels", "show", "from", "to", "lasso")
      || (thresholds && v.show !== "all") || (changed.has("marks") && v.show === "marked");
    if (filtered) {
      shownMask = sets.both(v.show === "all" ? sets.pair(set, v.from, v.to) : sets.ring(v.show, set, v, of), sets.pair(set, v.from, v.to));
      shown = sets.indicesOf(shownMask);
    }
    const reringed = filtered || thresholds || has(changed, "ring", "beside") || (changed.has("marks") && v.ring === "marked");
    if (reringed) {
      ringed = [set, v.beside < 0 ? set : v.beside].map((one) =>
        sets.indicesOf(v.ring === "none" ? new Uint8Array(about.count) : sets.both(shownMask, sets.ring(v.ring, one, v, marks.of(one)))));
    }
    if (reringed || has(changed, "colour", "at", "size")) {
      const recoloured = filtered || has(changed, "colour", "beside");
      map.show({
        views: v.beside < 0 ? 1 : 2, shown, rings: ringed, chosen: v.at, polygon, size: v.size,
        ...(recoloured ? { colours: [paint(v.colour, set), v.beside < 0 ? null : paint(v.colour, v.beside)] } : {}),
      });
    }
    if (filtered || has(changed, "order")) {
      const selected = polygon.length ? sets.both(shownMask, sets.inside(polygon)) : shownMask;
      rows = panels.ordered(sets.indicesOf(selected), v.order);
    }
    if (filtered || has(changed, "order", "page", "at", "marks")) {
      panels.list($("list"), rows, v, polygon.length ? "selected" : v.show === "all" && v.from < 0 && v.to < 0 ? "examples" : "shown", of);
    }
    if (filtered && data.clean) panels.matrix($("matrix"), sets.matrix(rows, set), rows.length, about.sets[set].name, polygon.length ? "the selection" : "what is shown");
    if (filtered || has(changed, "at", "marks")) panels.example($("example"), v.at, set, of);
    if (has(changed, "all", "labels", "marks")) panels.marking($("marking"), of, marks.counts(set), about.sets[set].name, marks.MARKS);
    if (has(changed, "all", "colour")) panels.legend($("legend"), legendEntries(v.colour));
    words();
    controls();
  }

  function words() {
    const v = state.values, [left, right] = ringed;
    const count = (n) => n.toLocaleString("en-US");
    const ring = v.ring === "none" ? "" : `; ringed: ${count(left.length)} ${NAMES[v.ring]}${v.beside < 0 ? "" : ` and ${count(right.length)} beside`}`;
    const chosen = v.at < 0 ? "" : `; example ${panels.shownIndex(v.at)}: ${about.classes[data.labels[v.labels][v.at]]}`;
    $("status").textContent = `${count(shown.length)} of ${count(about.count)} shown${lassoPolygon().length ? `, ${count(rows.length)} selected` : ""}${ring}${chosen}`;
    const spans = $("names").children;
    spans[0].textContent = about.sets[v.labels].name;
    spans[1].textContent = v.beside < 0 ? "" : about.sets[v.beside].name;
    spans[1].hidden = v.beside < 0;
  }

  function fill(select, options) {
    select.replaceChildren(...options.map(([value, text]) => panels.make("option", { value }, text)));
  }

  const THRESHOLDS = [
    ...(about.scored === null ? [] : ["inclusion", "exclusion", "memorization"]), ...(about.cleaned === null ? [] : ["noise"]),
  ];

  function makeControls() {
    fill($("labels"), about.sets.map((one, s) => [s, one.name]));
    fill($("beside"), [[-1, "nothing"], ...about.sets.map((one, s) => [s, one.name])]);
    fill($("colour"), colours().map((name) => [name, name === "flipped" ? "flipped or not" : NAMES[name]]));
    const pairs = [[-1, "any"], ...about.classes.map((name, label) => [label, name])];
    fill($("from"), pairs);
    fill($("to"), pairs);
    $("from").disabled = !data.clean;
    $("beside").disabled = about.sets.length < 2;
    for (const name of THRESHOLDS) {
      const value = panels.make("output", { id: `${name}-value` });
      const slider = panels.make("input", { id: name, type: "range", min: "0", max: "1", step: "0.01", oninput: (event) => state.set({ [name]: Number(event.target.value), page: 0 }) });
      $("thresholds").append(panels.make("label", {}, `${panels.SCORE_NAMES[name]} `, slider, value));
    }
    $("thresholds").hidden = !THRESHOLDS.length;
    const numbers = ["labels", "beside", "from", "to"];
    for (const name of [...numbers, "colour", "ring", "show"]) {
      $(name).addEventListener("change", (event) => {
        const value = numbers.includes(name) ? Number(event.target.value) : event.target.value;
        state.set({ [name]: value, page: 0 });
      });
    }
    $("size").addEventListener("input", (event) => state.set({ size: Number(event.target.value) }));
    $("find").addEventListener("change", find);
    $("choices").addEventListener("submit", (event) => event.preventDefault());
    $("reset").addEventListener("click", () => { state.set({ ...state.defaults }); map.fit(); });
    $("lasso").addEventListener("click", () => setLasso(!lassoing));
    $("unselect").addEventListener("click", () => state.set({ lasso: "", page: 0 }));
    $("fit").addEventListener("click", () => map.fit());
    $("help").addEventListener("click", () => $("keys").showModal());
    if (matchMedia("(max-width: 700px)").matches) $("controls").open = false;
  }

  // Show in the controls what the view says.
  let ringsOf = -1;
  function controls() {
    const v = state.values;
    if (ringsOf !== v.labels) {
      const known = sets.known(v.labels);
      fill($("ring"), ["none", ...known, "marked"].map((name) => [name, NAMES[name]]));
      fill($("show"), ["all", ...known, "marked"].map((name) => [name, NAMES[name]]));
      ringsOf = v.labels;
    }
    for (const name of ["labels", "beside", "colour", "ring", "show", "from", "to", "size", ...THRESHOLDS]) {
      if ($(name).value !== String(v[name])) $(name).value = v[name];
    }
    for (const name of THRESHOLDS) $(`${name}-value`).textContent = v[name].toFixed(2);
    $("unselect").hidden = !v.lasso;
  }

  function find() {
    const text = $("find").value.trim();
    if (text === "") return;
    const wanted = Number(text);
    const i = data.indices ? data.indices.indexOf(wanted) : wanted;
    const there = Number.isInteger(i) && i >= 0 && i < about.count;
    $("find").setCustomValidity(there ? "" : "There is no example of that index.");
    $("find").reportValidity();
    if (there) act.choose(i);
  }
  $("find").addEventListener("input", () => $("find").setCustomValidity(""));

  // Move the map only if the example is outside of it.
  function bringIn(i) {
    const x = data.positions[2 * i], y = data.positions[2 * i + 1];
    const { x: atX, y: atY, zoom } = map.place ?? {};
    const half = { x: $("map").clientWidth / (state.values.beside < 0 ? 2 : 4), y: $("map").clientHeight / 2 };
    const scale = 2 ** zoom;
    if (!(Math.abs(x - atX) * scale < half.x && Math.abs(y - atY) * scale < half.y)) map.moveTo(x, y, Math.max(zoom, 3));
  }

  function step(by) {
    const at = rows.indexOf(state.values.at);
    const next = at < 0 ? 0 : at + by;
    if (next < 0 || next >= rows.length) return;
    state.set({ page: Math.floor(next / panels.PER_PAGE) });
    act.choose(rows[next]);
  }

  function mark(name, label) {
    const { at, labels } = state.values;
    if (at < 0) return;
    const place = rows.indexOf(at);
    marks.put(labels, at, name, label);
    refresh(new Set(["marks"]));
    if (onward && name !== "") {
      if (rows.indexOf(at) < 0 && place >= 0 && rows.length) act.choose(rows[Math.min(place, rows.length - 1)]);
      else step(1);
    }
  }

  function setLasso(on) {
    lassoing = on;
    $("lasso").setAttribute("aria-pressed", String(on));
    $("map").classList.toggle("lassoing", on);
  }

  function save(name, text, type) {
    const link = panels.make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // A cell that no spreadsheet takes for a formula.
  function cell(value) {
    const text = String(value).replace(/\s+/g, " ");
    const safe = /^[=+\-@＝＋－＠]/.test(text) && !/^-?[\d.]+(e-?\d+)?$/.test(text) ? `'${text}` : text;
    return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function exportList() {
    const v = state.values, of = marks.of(v.labels);
    const scores = panels.SCORES.filter((name) => name !== "memorization");
    const columns = ["index", "x", "y", ...(data.clean ? ["clean_label"] : []), ...about.sets.map((one) => one.name), ...(about.cleaned === null ? [] : ["corrected_label"]),
      ...scores.flatMap((name) => (name === "noise" ? ["noise_score"] : [name, `${name}_error`])), "mark", "new_label"];
    const lines = [columns.map(cell).join(",")];
    for (const i of rows) {
      const mark = of.get(i);
      const known = (value) => (Number.isNaN(value) ? "" : value);
      lines.push([panels.shownIndex(i), data.positions[2 * i], data.positions[2 * i + 1],
        ...(data.clean ? [about.classes[data.clean[i]]] : []), ...data.labels.map((labels) => about.classes[labels[i]]),
        ...(about.cleaned === null ? [] : [about.classes[data.corrected[i]]]),
        ...scores.flatMap((name) => (name === "noise" ? [known(data.noise[i])] : [known(data[name][i]), known(data[`${name}_error`][i])])),
        mark?.mark ?? "", mark?.mark === "new" ? about.classes[mark.label] : ""].map(cell).join(","));
    }
    save("examples.csv", `${lines.join("\n")}\n`, "text/csv");
  }

  async function exportMarks() {
    const set = state.values.labels;
    const receipt = `${JSON.stringify(await marks.toReceipt(set), null, 2)}\n`;
    save("marked.csv", marks.toCsv(set), "text/csv");
    save("marked.csv.receipt.json", receipt, "application/json");
  }

  const KEYS = [
    ["n, p", "next, previous example of the list"], ["r, w, u", "the label is right, wrong, unsure"],
    ["0 to 9", "a new label: the class of that number"], ["l", "choose a new label by name"], ["Backspace", "take the mark away"],
    ["s, Shift and drag", "lasso a region"], ["Escape", "drop the lasso or the selection"], ["/", "find an index"],
    ["arrows, +, −", "move and zoom the map, when it has the focus"], ["f", "the whole map"], ["?", "these keys"],
  ];

  function keyboard(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
    const tag = event.target.tagName;
    if (tag === "TEXTAREA" || tag === "SELECT" || (tag === "INPUT" && event.target.type !== "checkbox")) return;
    const pan = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (event.target === $("map") && map.place) {
      const { x, y, zoom } = map.place;
      const by = 80 / 2 ** zoom;
      if (pan) { map.moveTo(x + pan[0] * by, y + pan[1] * by, zoom); event.preventDefault(); return; }
      if (event.key === "+" || event.key === "=") { map.moveTo(x, y, zoom + 0.5); return; }
      if (event.key === "-") { map.moveTo(x, y, zoom - 0.5); return; }
    }
    const label = /^[0-9]$/.test(event.key) ? Number(event.key) : -1;
    const does = {
      n: () => step(1), p: () => step(-1), r: () => mark("right"), w: () => mark("wrong"), u: () => mark("unsure"),
      l: () => $("new-label")?.focus(), Backspace: () => mark(""), s: () => setLasso(!lassoing), f: () => map.fit(),
      Escape: () => { if (lassoing) setLasso(false); else state.set({ lasso: "", page: 0 }); },
      "/": () => $("find").focus(), "?": () => $("keys").showModal(),
    }[event.key] ?? (label >= 0 && label < classes ? () => mark("new", label) : null);
    if (!does) return;
    event.preventDefault();
    does();
  }

  function pointer() {
    const element = $("map"), tip = $("tip");
    let waiting = null;
    const hide = () => { tip.hidden = true; };
    element.addEventListener("pointermove", (event) => {
      const asked = waiting !== null;
      waiting = event;
      if (asked) return;
      requestAnimationFrame(() => {
        const moved = waiting;
        waiting = null;
        const i = moved.buttons || map.busy ? -1 : map.at(moved, shownMask);
        if (i < 0) { hide(); return; }
        panels.tip(tip, i, state.values.labels);
        tip.hidden = false;
        const box = $("views").getBoundingClientRect();
        const left = moved.clientX - box.left, top = moved.clientY - box.top;
        tip.style.left = `${Math.max(4, left + tip.offsetWidth + 20 > box.width ? left - tip.offsetWidth - 14 : left + 14)}px`;
        tip.style.top = `${Math.max(4, Math.min(top + 14, box.height - tip.offsetHeight - 4))}px`;
      });
    });
    element.addEventListener("pointerleave", hide);
    let pressed = null;
    element.addEventListener("pointerdown", (event) => { pressed = [event.clientX, event.clientY]; });
    element.addEventListener("click", (event) => {
      if (!pressed || Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4 || lassoing) return;
      state.set({ at: map.at(event, shownMask) });
    });
    map.listen(() => lassoing);
  }

  $("facts").textContent = [
    `${about.count.toLocaleString("en-US")} examples, ${classes.toLocaleString("en-US")} classes`,
    `labels: ${about.sets.map((one) => one.name).join(", ")}`,
    ...(about.scores ? [`memorization: ${about.scores}, of ${about.sets[about.scored].name}`] : []),
    ...(data.clean ? [] : ["clean labels are not known"]),
  ].join(" · ");
  if (about.warning) problem(about.warning);
  $("keys").querySelector("dl").replaceChildren(...KEYS.flatMap(([key, text]) => [panels.make("dt", {}, key), panels.make("dd", {}, text)]));
  makeControls();
  state.listen((_, changed) => {
    legalise();
    if (has(changed, "x", "y", "zoom") && map.place) {
      const { x, y, zoom } = state.values, now = map.place;
      const far = Math.abs(x - now.x) > 1e-3 || Math.abs(y - now.y) > 1e-3 || Math.abs(zoom - now.zoom) > 1e-2;
      if (!Number.isFinite(x + y + zoom)) map.fit();
      else if (far) map.moveTo(x, y, zoom);
      if (changed.size <= 3 && [...changed].every((name) => ["x", "y", "zoom"].includes(name))) return;
    }
    refresh(changed);
  });
  const { x, y, zoom } = state.values;
  refresh(new Set(["all"]));
  if (Number.isFinite(x + y + zoom)) map.moveTo(x, y, zoom);
  else map.fit();
  pointer();
  addEventListener("keydown", keyboard);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => refresh(new Set(["all"])));
  document.documentElement.dataset.ready = "true";
})().catch((error) => {
  const place = document.getElementById("problem");
  place.hidden = false;
  place.textContent = `This page could not be shown: ${error.message}`;
  throw error;
});
