// Columns of numbers: scripts of data/ that call mislabel.column, so that the page opens from the
// disk too, where nothing else can be read.
"use strict";
globalThis.mislabel = (() => {
  const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };
  const waiting = new Map();
  const kept = new Map();
  let described;

  // Called by data/about.js and data/NAME-PART.js.
  const about = (value) => { described = value; };
  const column = (name, part, text) => waiting.get(`${name}-${part}`)(text);

  function script(path) {
    return new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = path;
      element.onload = () => { element.remove(); resolve(); };
      element.onerror = () => reject(new Error(`${path} could not be loaded`));
      document.head.append(element);
    });
  }

  async function loadAbout() {
    await script("data/about.js");
    return described;
  }

  function decoded(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const characters = atob(text);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    return bytes;
  }

  async function unpack(text) {
    const bytes = decoded(text);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  // The numbers of one part, by default all.
  function load(name, part = 0) {
    const key = `${name}-${part}`;
    if (!kept.has(key)) {
      kept.set(key, (async () => {
        let text;
        waiting.set(key, (found) => { text = found; });
        await script(`data/${key}.js`);
        waiting.delete(key);
        return new TYPES[described.columns[name].type](await unpack(text));
      })());
    }
    return kept.get(key);
  }

  // One row of a column that comes in parts.
  async function row(name, index) {
    const { rows, width } = described.columns[name];
    const part = await load(name, Math.floor(index / rows));
    const start = (index % rows) * width;
    return part.subarray(start, start + width);
  }

  return { about, column, loadAbout, load, row };
})();
