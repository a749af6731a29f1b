// Marks: what somebody says of labels, kept in this browser, and exported as a label file.
"use strict";
mislabel.makeMarks = (about, data, problem) => {
  // Marks of each set of labels: index -> {mark, label}; label only where the mark is "new".
  const MARKS = { right: "right", wrong: "wrong", unsure: "unsure", new: "new label" };
  const sets = about.sets.map((set) => load(storageKey(set)));

  function storageKey(set) { return `mislabel-marks-${about.dataHash}-${set.hash}`; }

  function load(key) {
    const found = new Map();
    try {
      for (const [index, mark, label] of JSON.parse(localStorage.getItem(key) ?? "[]")) {
        const whole = Number.isInteger(index) && index >= 0 && index < about.count;
        const named = mark !== "new" || (Number.isInteger(label) && label >= 0 && label < about.classes.length);
        if (whole && named && Object.hasOwn(MARKS, mark)) found.set(index, { mark, label });
      }
    } catch (error) {
      problem(`Marks of before could not be read: ${error.message}`);
    }
    return found;
  }

  function save(set) {
    const rows = [...sets[set]].map(([index, { mark, label }]) => [index, mark, label ?? null]);
    try {
      localStorage.setItem(storageKey(about.sets[set]), JSON.stringify(rows));
    } catch (error) {
      problem(`Marks cannot be kept in this browser, so export them before you leave: ${error.message}`);
    }
  }

  // mark "" takes the mark away; a new label that is the given one is the mark "right".
  function put(set, index, mark, label) {
    if (mark === "") sets[set].delete(index);
    else if (mark === "new" && label === data.labels[set][index]) sets[set].set(index, { mark: "right" });
    else sets[set].set(index, mark === "new" ? { mark, label } : { mark });
    save(set);
  }

  function clear(set) {
    sets[set].clear();
    save(set);
  }

  function counts(set) {
    const found = Object.fromEntries(Object.keys(MARKS).map((mark) => [mark, 0]));
    for (const { mark } of sets[set].values()) found[mark]++;
    return found;
  }

  // (N,) labels after the marks.
  function labelsAfter(set) {
    const labels = Array.from(data.labels[set]);
    for (const [index, { mark, label }] of sets[set]) if (mark === "new") labels[index] = label;
    return labels;
  }

  function toCsv(set) {
    const after = labelsAfter(set);
    const lines = ["sample_id,original_label,mark,noisy_label"];
    for (let i = 0; i < about.count; i++) {
      lines.push(`${i},${data.labels[set][i]},${sets[set].get(i)?.mark ?? ""},${after[i]}`);
    }
    return `${lines.join("\n")}\n`;
  }

  // As mislabel.files.hash_array of int64.
  async function hash(labels) {
    if (!crypto.subtle) throw new Error("a receipt needs a secure page: from the disk, localhost or https");
    const head = new TextEncoder().encode(`<i8(${labels.length},)`);
    const bytes = new Uint8Array(head.length + 8 * labels.length);
    bytes.set(head);
    const view = new DataView(bytes.buffer);
    labels.forEach((label, i) => view.setUint32(head.length + 8 * i, label, true));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async function toReceipt(set) {
    const after = labelsAfter(set);
    return {
      format: 1,
      generator: "explorer-marks",
      parameters: { labels: about.sets[set].name, marks: counts(set) },
      seed: null,
      versions: { mislabel: about.version },
      inputs: { labels: about.sets[set].hash, data: about.dataHash },
      n_examples: about.count,
      n_classes: about.classes.length,
      labels_sha256: await hash(after),
      rate: null,
      rate_per_class: [],
    };
  }

  return { MARKS, of: (set) => sets[set], put, clear, counts, toCsv, toReceipt };
};
