// Which examples: rings, filters, regions, and their transition matrix. Masks are Uint8Array (N,).
"use strict";
mislabel.makeSets = (about, data) => {
  const count = about.count;

  function mask(holds) {
    const found = new Uint8Array(count);
    for (let i = 0; i < count; i++) found[i] = holds(i) ? 1 : 0;
    return found;
  }

  // Names of the rings that are known of a set of labels.
  function known(set) {
    const names = [];
    if (data.clean) names.push("flipped");
    if (about.scored === set) names.push(...(data.clean ? ["incorrect-learned"] : []), "memorized");
    if (about.cleaned === set) names.push("changed", "noisy");
    return names;
  }

  function ring(name, set, high, marks) {
    const labels = data.labels[set];
    const { clean, inclusion, exclusion } = data;
    if (name === "marked") return mask((i) => marks.has(i));
    if (!known(set).includes(name)) return mask(() => false);
    switch (name) {
      case "flipped": return mask((i) => labels[i] !== clean[i]);
      case "incorrect-learned":
        return mask((i) => labels[i] !== clean[i] && inclusion[i] > high.inclusion && exclusion[i] > high.exclusion);
      case "memorized": return mask((i) => inclusion[i] - exclusion[i] > high.memorization);
      case "changed": return mask((i) => labels[i] !== data.corrected[i]);
      default: return mask((i) => data.noise[i] > Math.fround(high.noise)); // as in Python
    }
  }

  // Examples of one clean class and with one label; -1 takes all.
  function pair(set, from, to) {
    const labels = data.labels[set];
    return mask((i) => (from < 0 || !data.clean || data.clean[i] === from) && (to < 0 || labels[i] === to));
  }

  // Examples inside a polygon of map positions [x, y, x, y, ...].
  function inside(polygon) {
    const found = new Uint8Array(count);
    const corners = polygon.length / 2;
    if (corners < 3) return found;
    const xs = polygon.filter((_, i) => i % 2 === 0);
    const ys = polygon.filter((_, i) => i % 2 === 1);
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    for (let i = 0; i < count; i++) {
      const x = data.positions[2 * i], y = data.positions[2 * i + 1];
      if (x < left || x > right || y < low || y > high) continue;
      let odd = 0;
      for (let a = 0, b = corners - 1; a < corners; b = a++) {
        if ((ys[a] > y) !== (ys[b] > y) && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd ^= 1;
      }
      found[i] = odd;
    }
    return found;
  }

  function both(first, second) {
    const found = new Uint8Array(count);
    for (let i = 0; i < count; i++) found[i] = first[i] & second[i];
    return found;
  }

  function indicesOf(chosen) {
    let total = 0;
    for (let i = 0; i < count; i++) total += chosen[i];
    const found = new Uint32Array(total);
    for (let i = 0, at = 0; i < count; i++) if (chosen[i]) found[at++] = i;
    return found;
  }

  // counts[clean * C + label] of the chosen examples.
  function matrix(chosen, set) {
    const classes = about.classes.length;
    const counts = new Uint32Array(classes * classes);
    for (const i of chosen) counts[data.clean[i] * classes + data.labels[set][i]]++;
    return counts;
  }

  return { known, ring, pair, inside, both, indicesOf, matrix };
};
