// The view: what is chosen, kept in the address so that a link shows the same thing.
"use strict";
mislabel.makeState = (defaults) => {
  const listeners = [];
  let values = read();
  let timer;

  function read() {
    const found = { ...defaults };
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      if (!Object.hasOwn(defaults, name)) continue;
      const kind = typeof defaults[name];
      if (kind === "number" && text.trim() !== "" && Number.isFinite(Number(text))) found[name] = Number(text);
      if (kind === "string") found[name] = text;
    }
    return found;
  }

  function address() {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(values)) {
      if (!Object.is(value, defaults[name])) parts.set(name, value);
    }
    return `#${parts}`;
  }

  // Browsers take few changes of the address a second.
  function writeSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", address()), 250);
  }

  function tell(changed) {
    for (const listener of listeners) listener(values, changed);
  }

  function set(changes) {
    const changed = new Set(Object.keys(changes).filter((name) => !Object.is(changes[name], values[name])));
    if (!changed.size) return;
    values = { ...values, ...changes };
    writeSoon();
    tell(changed);
  }

  addEventListener("hashchange", () => {
    const before = values;
    values = read();
    tell(new Set(Object.keys(values).filter((name) => !Object.is(values[name], before[name]))));
  });

  return {
    get values() { return values; },
    set,
    defaults,
    listen: (listener) => listeners.push(listener),
    replace: (changes) => { values = { ...values, ...changes }; },
  };
};
