// What stands beside the map: legend, the chosen example, the list, the matrix, the marks.
// All names are put in as text, never as markup.
"use strict";
mislabel.makePanels = (about, data, act) => {
  const PER_PAGE = 50;
  const MOST_CLASSES = 20;
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
  const number = (value) => value.toLocaleString("en-US");
  const className = (label) => about.classes[label];
  const colourOf = (label) => `rgb(${about.classColours[label].join(" ")})`;
  const shownIndex = (i) => (data.indices ? data.indices[i] : i);

  // An element with properties, and children that are elements or text.
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.startsWith("aria-") || name === "role" || name === "scope") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }

  function dot(label) {
    const element = make("span", { className: "dot", "aria-hidden": "true" });
    element.style.background = colourOf(label);
    return element;
  }

  function named(label) { return make("span", { className: "named" }, dot(label), className(label)); }

  // The thumbnail of an example, `side` pixels on its longer side.
  function image(i, side) {
    if (!about.images) return "";
    const { width, height, across, perSheet, count } = about.images;
    const scale = side / Math.max(width, height);
    const sheet = Math.floor(i / perSheet), cell = i % perSheet;
    const inSheet = sheet < count - 1 ? perSheet : about.count - sheet * perSheet;
    const element = make("span", { className: "thumb", role: "img", "aria-label": `Image ${shownIndex(i)}` });
    Object.assign(element.style, {
      width: `${width * scale}px`,
      height: `${height * scale}px`,
      backgroundImage: `url("images/${sheet}.webp")`,
      backgroundSize: `${across * width * scale}px ${Math.ceil(inSheet / across) * height * scale}px`,
      backgroundPosition: `${-(cell % across) * width * scale}px ${-Math.floor(cell / across) * height * scale}px`,
    });
    return element;
  }

  function scoreText(i, name) {
    const errors = { inclusion: data.inclusion_error, exclusion: data.exclusion_error };
    let value, error;
    if (name === "memorization") {
      value = data.inclusion[i] - data.exclusion[i];
      error = Math.hypot(data.inclusion_error[i], data.exclusion_error[i]);
    } else {
      value = data[name][i];
      error = errors[name]?.[i];
    }
    if (Number.isNaN(value)) return "–";
    return value.toFixed(3) + (error === undefined || Number.isNaN(error) ? "" : ` ± ${error.toFixed(3)}`);
  }

  const SCORES = [
    ...(about.scored === null ? [] : ["inclusion", "exclusion", "memorization"]),
    ...(about.cleaned === null ? [] : ["noise"]),
  ];
  const SCORE_NAMES = { inclusion: "inclusion", exclusion: "exclusion", memorization: "memorization", noise: "noise score" };

  function legend(element, entries) {
    element.replaceChildren(...entries.map(({ colour, text }) => {
      const mark = make("span", { "aria-hidden": "true" });
      mark.style.background = `rgb(${colour.join(" ")})`;
      return make("li", {}, mark, text);
    }));
  }

  function labelRows(i, set) {
    const rows = [];
    if (data.clean) rows.push(["clean", data.clean[i]]);
    about.sets.forEach((one, s) => rows.push([one.name, data.labels[s][i], s === set]));
    if (about.cleaned !== null) rows.push(["corrected", data.corrected[i]]);
    return rows;
  }

  function tip(element, i, set) {
    const rows = labelRows(i, set).map(([name, label]) => make("div", {}, make("span", { className: "soft" }, `${name} `), named(label)));
    const scores = SCORES.filter((name) => scoreText(i, name) !== "–").map((name) => make("div", { className: "soft" }, `${SCORE_NAMES[name]} ${scoreText(i, name)}`));
    element.replaceChildren(image(i, 96), make("div", {}, make("strong", {}, `${shownIndex(i)}`), ...rows, ...scores));
  }

  let asked = 0;
  async function example(element, i, set, marks) {
    const turn = ++asked;
    if (i < 0) {
      element.replaceChildren(make("h2", {}, "Example"), make("p", { className: "soft" }, "Choose a point or a row of the list. Press ? for keys."));
      return;
    }
    const facts = labelRows(i, set).map(([name, label, current]) => [
      make("dt", {}, name),
      make("dd", {}, named(label), current && data.clean && label !== data.clean[i] ? make("strong", {}, " flipped") : ""),
    ]).flat();
    const scores = SCORES.map((name) => [make("dt", {}, SCORE_NAMES[name]), make("dd", { className: "figures" }, scoreText(i, name))]).flat();
    const mark = marks.get(i);
    const buttons = ["right", "wrong", "unsure"].map((name) =>
      make("button", { type: "button", "aria-pressed": String(mark?.mark === name), onclick: () => act.mark(mark?.mark === name ? "" : name) }, name));
    const choice = make("select", { id: "new-label", "aria-label": "New label", onchange: (event) => act.mark(event.target.value === "" ? "" : "new", Number(event.target.value)) },
      make("option", { value: "" }, "new label …"),
      ...about.classes.map((name, label) => make("option", { value: label, selected: mark?.mark === "new" && mark.label === label }, name)));
    const near = make("ul", { className: "near" });
    element.replaceChildren(
      make("h2", {}, `Example ${shownIndex(i)}`),
      make("div", { className: "large" }, image(i, 224)),
      make("dl", { className: "facts" }, ...facts, ...scores),
      make("h3", {}, `Is the label “${className(data.labels[set][i])}” right?`),
      make("div", { className: "marks" }, ...buttons, choice),
      ...(about.cleaned === null ? [] : [make("h3", {}, "Soft target"), make("div", { id: "target" })]),
      make("h3", {}, `Nearest (in the ${about.neighbors.in})`),
      near,
    );
    const found = await mislabel.row("neighbors", i);
    const target = about.cleaned === null ? null : await mislabel.row("targets", i);
    if (turn !== asked) return;
    near.replaceChildren(...Array.from(found, (j) => make("li", {},
      make("button", { type: "button", onclick: () => act.choose(j) }, image(j, 48),
        make("span", {}, named(data.labels[set][j]),
          data.clean && data.clean[j] !== data.labels[set][j] ? make("span", { className: "soft" }, ` was ${className(data.clean[j])}`) : "",
          SCORES.length ? make("span", { className: "soft figures" }, ` ${scoreText(j, SCORES.at(-1))}`) : ""),
        make("span", { className: "soft figures" }, ` ${shownIndex(j)}`)))));
    if (target) {
      const order = Array.from(target.keys()).sort((a, b) => target[b] - target[a]).slice(0, 4);
      element.querySelector("#target").replaceChildren(...order.map((label) => {
        const bar = make("span", { className: "bar", "aria-hidden": "true" });
        bar.style.width = `${100 * target[label]}%`;
        return make("div", { className: "share" }, named(label), make("span", { className: "figures" }, percent(target[label])), bar);
      }));
    }
  }

  const ORDERS = { index: "index", random: "random, for a sample", ...Object.fromEntries(SCORES.map((name) => [name, `${SCORE_NAMES[name]}, highest first`])) };

  // A number that looks random and is always the same (the finish of MurmurHash3).
  function scatter(i) {
    let h = i + 1;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  }

  // Examples in the order of the list.
  function ordered(chosen, order) {
    if (order === "index" || !Object.hasOwn(ORDERS, order)) return chosen;
    const value = order === "random" ? scatter : order === "memorization" ? (i) => data.inclusion[i] - data.exclusion[i] : (i) => data[order][i];
    const keys = Float64Array.from(chosen, (i) => { const v = value(i); return Number.isNaN(v) ? Infinity : -v; });
    const places = Uint32Array.from(chosen.keys()).sort((a, b) => keys[a] - keys[b] || a - b);
    return Uint32Array.from(places, (place) => chosen[place]);
  }

  function list(element, rows, view, what, marks) {
    const pages = Math.max(1, Math.ceil(rows.length / PER_PAGE));
    const page = Math.min(Math.max(0, view.page), pages - 1);
    const shown = rows.subarray(page * PER_PAGE, (page + 1) * PER_PAGE);
    const order = make("select", { id: "order", onchange: (event) => act.set({ order: event.target.value, page: 0 }) },
      ...Object.entries(ORDERS).map(([name, text]) => make("option", { value: name, selected: name === view.order }, text)));
    const turn = (by, text) => make("button", { type: "button", disabled: page + by < 0 || page + by >= pages, onclick: () => act.set({ page: page + by }) }, text);
    const headings = [...(about.images ? ["image"] : []), "index", ...(data.clean ? ["clean"] : []), ...about.sets.map((one) => one.name),
      ...(about.cleaned === null ? [] : ["corrected"]), ...SCORES.map((name) => SCORE_NAMES[name]), "mark"];
    const body = Array.from(shown, (i) => make("tr", { className: i === view.at ? "best" : "" },
      ...(about.images ? [make("td", {}, image(i, 40))] : []),
      make("th", { scope: "row" }, make("button", { type: "button", className: "row", onclick: () => act.choose(i), "aria-label": `Show example ${shownIndex(i)}` }, shownIndex(i))),
      ...labelRows(i, view.labels).map(([, label]) => make("td", {}, named(label))),
      ...SCORES.map((name) => make("td", { className: "figures" }, scoreText(i, name))),
      make("td", {}, markText(marks.get(i)))));
    element.replaceChildren(
      make("div", { className: "head" }, make("h2", {}, `${number(rows.length)} ${what}`),
        make("div", {}, make("label", {}, "Order ", order), make("button", { type: "button", id: "export-list", disabled: !rows.length, onclick: act.exportList }, "Export as CSV"))),
      make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of examples" },
        make("table", {}, make("thead", {}, make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...body))),
      make("div", { className: "turn" }, turn(-1, "Before"), make("span", { className: "soft" }, ` ${page + 1} of ${number(pages)} `), turn(1, "Next")),
    );
  }

  function markText(mark) {
    if (!mark) return "";
    return mark.mark === "new" ? named(mark.label) : mark.mark;
  }

  function matrix(element, counts, total, setName, where) {
    element.hidden = !data.clean;
    if (!data.clean) return;
    const classes = about.classes.length;
    const title = make("h2", {}, `Transition matrix of ${where}`);
    const note = make("p", { className: "soft small" }, `${number(total)} examples; rows are clean classes, columns labels of ${setName}.`);
    if (classes > MOST_CLASSES) {
      element.replaceChildren(title, note, pairTable(counts, classes));
      return;
    }
    const rows = about.classes.map((name, clean) => {
      const row = counts.subarray(clean * classes, (clean + 1) * classes);
      const sum = row.reduce((a, b) => a + b, 0);
      return make("tr", {}, make("th", { scope: "row" }, named(clean)), ...Array.from(row, (count, label) => {
        const cell = make("td", { className: clean === label && count ? "diagonal" : "", title: `${number(count)} ${name} labelled ${className(label)}` });
        if (count) cell.append(make("button", { type: "button", className: "row", onclick: () => act.set({ from: clean, to: label, page: 0 }), "aria-label": `${number(count)} ${name} labelled ${className(label)}: show them` }, number(count)), make("span", {}, percent(count / sum)));
        cell.style.setProperty("--share", clean === label || !sum ? 0 : Math.min(1, Math.sqrt(count / sum)));
        return cell;
      }), make("td", { className: "soft" }, number(sum)));
    });
    element.replaceChildren(title, note, make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Transition matrix" }, make("table", { className: "matrix" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "clean"), ...about.classes.map((name) => make("th", { scope: "col" }, name)), make("th", { scope: "col" }, "all"))),
      make("tbody", {}, ...rows))));
  }

  function pairTable(counts, classes) {
    const wrong = Array.from(counts.keys()).filter((k) => counts[k] && Math.floor(k / classes) !== k % classes);
    wrong.sort((a, b) => counts[b] - counts[a]);
    const rows = wrong.slice(0, MOST_CLASSES).map((k) => make("tr", {}, make("th", { scope: "row" }, named(Math.floor(k / classes))), make("td", {}, named(k % classes)),
      make("td", {}, make("button", { type: "button", className: "row", onclick: () => act.set({ from: Math.floor(k / classes), to: k % classes, page: 0 }) }, number(counts[k])))));
    return make("div", { className: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...["clean", "label", "examples"].map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...rows)));
  }

  function marking(element, marks, counts, setName, names) {
    const total = marks.size;
    const said = Object.entries(counts).map(([mark, count]) => `${number(count)} ${names[mark]}`).join(", ");
    const onward = make("input", { type: "checkbox", id: "onward", checked: act.onward(), onchange: (event) => act.onward(event.target.checked) });
    element.replaceChildren(
      make("h2", {}, "Marks"),
      make("p", {}, total ? `${number(total)} of ${setName} marked: ${said}.` : `No label of ${setName} is marked yet. Choose an example and say whether its label is right.`),
      make("p", {}, make("label", {}, onward, " go on to the next row after a mark")),
      make("div", {},
        make("button", { type: "button", id: "export-marks", disabled: !total, onclick: act.exportMarks }, "Export labels and receipt"),
        " ", make("button", { type: "button", id: "clear-marks", disabled: !total, onclick: act.clearMarks }, "Take all marks away")),
    );
  }

  return { PER_PAGE, make, legend, tip, example, ordered, list, matrix, marking, scoreText, shownIndex, SCORES, SCORE_NAMES };
};
