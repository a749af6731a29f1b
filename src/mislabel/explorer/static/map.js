// The map: one or two linked views of all shown points, drawn with deck.gl.
"use strict";
mislabel.makeMap = (element, about, data, events) => {
  const { Deck, OrthographicView, ScatterplotLayer, PolygonLayer } = deck;
  const { DotsLayer } = mislabel;
  const VIEWS = ["left", "right"];
  const MANY_RINGS = 2000; // are drawn smaller and thinner
  const POINT = 0.3; // radius in units of the map; 30 neighbours lie within 1.67 of them
  const grid = makeGrid();
  const whole = extent();
  let scene = { views: 1, shown: new Uint32Array(0), colours: [], rings: [], chosen: -1, polygon: [], size: 1 };
  let place = null;
  let fitted = true; // the whole map is shown, and stays so when the page changes its size
  let drawn = false;
  let drawing = null;

  const chart = new Deck({
    parent: element,
    views: makeViews(1),
    viewState: { left: { target: [0, 0, 0], zoom: 0 } },
    controller: true,
    useDevicePixels: true,
    // Dots and rings have smooth edges by themselves; frames take half the time without a graphics card.
    deviceProps: { type: "webgl", webgl: { antialias: false } },
    getCursor: ({ isDragging }) => (isDragging ? "grabbing" : "crosshair"),
    onViewStateChange: ({ viewState }) => moveTo(viewState.target[0], viewState.target[1], viewState.zoom),
    onResize: () => { if (fitted) fit(); },
    onAfterRender: () => { if (!drawn && scene.shown.length) { drawn = true; events.drawn(); } },
    onError: (error) => events.problem(`The map could not be drawn: ${error.message}`),
    layers: [],
  });

  function makeViews(count) {
    return VIEWS.slice(0, count).map((id, i) => new OrthographicView({
      id, flipY: false, x: `${(100 / count) * i}%`, width: `${100 / count}%`,
      controller: { keyboard: false, doubleClickZoom: false, inertia: 150 },
    }));
  }

  function extent() {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < data.positions.length; i += 2) {
      box[0] = Math.min(box[0], data.positions[i]); box[2] = Math.max(box[2], data.positions[i]);
      box[1] = Math.min(box[1], data.positions[i + 1]); box[3] = Math.max(box[3], data.positions[i + 1]);
    }
    return box;
  }

  // Points by cells of a square grid, to find the nearest to the pointer.
  function makeGrid() {
    const count = about.count;
    const [left, low, right, high] = extent();
    const side = Math.max((right - left) || 1, (high - low) || 1) / Math.max(1, Math.min(1024, Math.sqrt(count)));
    const across = Math.floor((right - left) / side) + 1;
    const down = Math.floor((high - low) / side) + 1;
    const starts = new Uint32Array(across * down + 1);
    const cells = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const column = Math.floor((data.positions[2 * i] - left) / side);
      const row = Math.floor((data.positions[2 * i + 1] - low) / side);
      cells[i] = row * across + column;
      starts[cells[i] + 1]++;
    }
    for (let c = 0; c < across * down; c++) starts[c + 1] += starts[c];
    const members = new Uint32Array(count);
    const filled = starts.slice();
    for (let i = 0; i < count; i++) members[filled[cells[i]]++] = i;
    return { left, low, side, across, down, starts, members };
  }

  // The nearest shown point within a radius, or -1.
  function nearest(x, y, radius, shown) {
    const reach = (value, low, cells) => Math.min(cells - 1, Math.max(0, Math.floor((value - low) / grid.side)));
    const columns = [reach(x - radius, grid.left, grid.across), reach(x + radius, grid.left, grid.across)];
    const rows = [reach(y - radius, grid.low, grid.down), reach(y + radius, grid.low, grid.down)];
    let best = -1, least = radius * radius;
    for (let row = rows[0]; row <= rows[1]; row++) {
      const from = grid.starts[row * grid.across + columns[0]];
      const to = grid.starts[row * grid.across + columns[1] + 1];
      for (let at = from; at < to; at++) {
        const i = grid.members[at];
        const dx = data.positions[2 * i] - x, dy = data.positions[2 * i + 1] - y;
        const distance = dx * dx + dy * dy;
        if (distance <= least && shown[i]) { best = i; least = distance; }
      }
    }
    return best;
  }

  function moveTo(x, y, zoom, whole = false) {
    fitted = whole;
    place = { x, y, zoom: Math.min(14, Math.max(-6, zoom)) };
    const state = { target: [x, y, 0], zoom: place.zoom, minZoom: -6, maxZoom: 14 };
    chart.setProps({ viewState: Object.fromEntries(VIEWS.slice(0, scene.views).map((id) => [id, state])) });
    events.moved(fitted ? { x: NaN, y: NaN, zoom: NaN } : place);
  }

  function fit() {
    const width = element.clientWidth / scene.views, height = element.clientHeight;
    if (!width || !height) return;
    const [left, low, right, high] = whole;
    const scale = 0.92 * Math.min(width / ((right - left) || 1), height / ((high - low) || 1));
    moveTo((left + right) / 2, (low + high) / 2, Math.log2(scale), true);
  }

  function show(changes) {
    const views = changes.views ?? scene.views;
    const divided = views !== scene.views;
    scene = { ...scene, ...changes };
    if (divided) {
      chart.setProps({ views: makeViews(views) });
      if (fitted) fit();
      else moveTo(place.x, place.y, place.zoom);
    }
    chart.setProps({ layers: layers(), layerFilter: ({ layer, viewport }) => layer.id.endsWith(viewport.id) });
  }

  function positionsOf(chosen) {
    const found = new Float32Array(2 * chosen.length);
    for (let k = 0; k < chosen.length; k++) {
      found[2 * k] = data.positions[2 * chosen[k]];
      found[2 * k + 1] = data.positions[2 * chosen[k] + 1];
    }
    return found;
  }

  let cached = { shown: null, positions: null };
  function layers() {
    if (cached.shown !== scene.shown) cached = { shown: scene.shown, positions: positionsOf(scene.shown) };
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const ink = dark ? [255, 255, 255] : [0, 0, 0];
    const flat = { parameters: { depthCompare: "always", depthWriteEnabled: false } };
    return VIEWS.slice(0, scene.views).flatMap((id, v) => [
      new DotsLayer({
        id: `points-${id}`, positions: cached.positions, colors: scene.colours[v],
        radius: POINT * scene.size, least: least(scene.shown.length) * scene.size, most: 7 * scene.size,
      }),
      new DotsLayer({
        id: `rings-${id}`, positions: positionsOf(scene.rings[v]), colors: inked(scene.rings[v].length, ink, many(v) ? 150 : 255),
        radius: (many(v) ? 1.5 : 2.2) * POINT * scene.size, least: many(v) ? 1.8 : 3.2, most: 11 * scene.size,
        width: many(v) ? 0.8 : 1.4,
      }),
      new PolygonLayer({
        id: `lasso-${id}`, ...flat,
        data: scene.polygon.length > 2 ? [{ polygon: pairs(scene.polygon) }] : [],
        getFillColor: [...ink, 18], getLineColor: [...ink, 200], lineWidthUnits: "pixels", getLineWidth: 1.5,
      }),
      new ScatterplotLayer({
        id: `chosen-${id}`, ...flat,
        data: scene.chosen < 0 ? [] : [scene.chosen],
        getPosition: (i) => [data.positions[2 * i], data.positions[2 * i + 1]],
        filled: false, stroked: true, getLineColor: [213, 94, 0], lineWidthUnits: "pixels", getLineWidth: 3,
        getRadius: 3 * POINT * scene.size, radiusMinPixels: 8, radiusMaxPixels: 16 * scene.size,
      }),
    ]);
  }

  function inked(count, [r, g, b], alpha) {
    const found = new Uint8Array(4 * count);
    for (let k = 0; k < count; k++) found.set([r, g, b, alpha], 4 * k);
    return found;
  }

  // Radius in pixels at which few points are still seen, and many still tell apart.
  const least = (count) => Math.min(3, Math.max(0.8, 1.2 * (50_000 / count) ** 0.25));

  const many = (view) => scene.rings[view].length > MANY_RINGS;

  function pairs(flat) {
    return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
  }

  // The position on the map under the pointer, in whichever view it is.
  function under(event) {
    const box = element.getBoundingClientRect();
    const width = box.width / scene.views;
    const across = (event.clientX - box.left) % width;
    const scale = 2 ** place.zoom;
    return [place.x + (across - width / 2) / scale, place.y - (event.clientY - box.top - box.height / 2) / scale];
  }

  function at(event, mask) {
    if (!place) return -1;
    const [x, y] = under(event);
    return nearest(x, y, 9 / 2 ** place.zoom, mask);
  }

  // A lasso takes the pointer before deck.gl sees it.
  function listen(wanted) {
    const take = (event) => { event.stopPropagation(); event.preventDefault(); };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !(wanted() || event.shiftKey)) return;
      take(event);
      element.focus();
      drawing = [...under(event)];
      element.setPointerCapture(event.pointerId);
    }, true);
    element.addEventListener("pointermove", (event) => {
      if (!drawing) return;
      take(event);
      const [x, y] = under(event), scale = 2 ** place.zoom;
      if (Math.hypot(x - drawing.at(-2), y - drawing.at(-1)) * scale < 5) return;
      drawing.push(x, y);
      show({ polygon: drawing });
    }, true);
    const end = (event) => {
      if (!drawing) return;
      take(event);
      const polygon = drawing;
      drawing = null;
      events.lassoed(polygon.length >= 6 ? polygon : []);
    };
    element.addEventListener("pointerup", end, true);
    element.addEventListener("pointercancel", end, true);
  }

  return { show, fit, moveTo, at, listen, get place() { return place; }, get busy() { return drawing !== null; } };
};
