// @ts-check
"use strict";
/*
 * A view in, a ruler at its left edge out: the layers of the stack in view at their heights, the current one marked. A click, or
 * a number in its field, goes to a layer. `step` goes from layer to layer for others.
 */

/** Height of the ruler's upper part, in which its field is. */
mwv.FIELD = 34;

mwv.Ruler = class {
  /**
   * @param {HTMLElement} box hidden while the scene has no layers
   * @param {any} view
   */
  constructor(box, view) {
    this.box = box;
    this.view = view;
    this.scale = mwv.element("div", { class: "scale", "aria-hidden": "true" });
    this.field = /** @type {HTMLInputElement} */ (
      mwv.element("input", { id: "go-to-layer", type: "text", inputmode: "numeric", autocomplete: "off", placeholder: "layer" })
    );
    /** @type {HTMLElement[]} */
    this.marks = [];
    box.replaceChildren(this.scale, mwv.element("label", { for: "go-to-layer", class: "hidden" }, "Go to layer"), this.field);
    this.scale.addEventListener("click", (event) => {
      const layer = this.layerAt(event.clientY - this.scale.getBoundingClientRect().top);
      if (layer) this.go(layer.layer);
    });
    this.field.addEventListener("focus", () => this.field.select());
    this.field.addEventListener("input", () => this.field.removeAttribute("aria-invalid"));
    this.field.addEventListener("blur", () => this.draw());
    this.field.addEventListener("keydown", ({ key }) => {
      if (key === "Enter") this.accept();
      if (key === "Escape") this.field.blur();
    });
    view.addEventListener("scene", () => this.attach());
    this.attach();
  }

  /** Tell the layers of another scene. */
  attach() {
    const { outlines, map } = this.view;
    this.box.hidden = !outlines.labels.columns.length;
    outlines.labels.ruled = true;
    outlines.on("draw", () => this.draw());
    map.invalidateSize();
  }

  /** The column of layers that the ruler tells. */
  get column() {
    return this.view.outlines.labels.main ?? this.view.outlines.labels.columns[0] ?? null;
  }

  /** Go to the layer whose number stands in the field. */
  accept() {
    const text = this.field.value.trim();
    const found = /^\d+$/.test(text) && this.go(Number(text));
    this.field.toggleAttribute("aria-invalid", !found);
    if (found) this.field.blur();
    else this.field.select();
  }

  /** The layer of the column at a height of the view, or that above it. @param {number} y */
  layerAt(y) {
    const { column, view } = this;
    const place = view.map.containerPointToLatLng([0, y]).lat;
    const above = column?.layers.filter((/** @type {any} */ { box }) => box[1] <= place) ?? [];
    return above.at(-1) ?? column?.layers[0];
  }

  /** All layers of a stack by number; there may be several columns. @param {string} stack */
  layers(stack) {
    const columns = this.view.outlines.labels.columns.filter((/** @type {any} */ column) => column.stack === stack);
    return new Map(columns.flatMap((/** @type {any} */ { layers }) => layers.map((/** @type {any} */ one) => [one.layer, one])));
  }

  /** Stack and number of the layer in question: that of the chosen tensor, else one that fills the middle; layer null if none. */
  current() {
    const { view, column } = this;
    const role = view.selected < 0 ? null : view.scene.role(view.selected);
    if (role && role.layer !== null) return { stack: role.stack, layer: role.layer };
    const middle = this.layerAt(view.map.getSize().y / 2);
    return { stack: column?.stack, layer: middle && this.near(middle) ? middle.layer : null };
  }

  /** Whether a layer fills a good part of the view. */
  near({ box }) {
    const { map } = this.view;
    return box[3] * map.getZoomScale(map.getZoom(), 0) > map.getSize().y / 4;
  }

  /** The tensor that is in another layer what a placement is in its own; -1 if there is none. */
  twin(placement, layer) {
    const { placements } = this.view.scene.facts;
    const same = ["stack", "slot", "expert"];
    return placements.layer.findIndex(
      (/** @type {number} */ other, /** @type {number} */ i) =>
        other === layer && same.every((column) => placements[column][i] === placements[column][placement])
    );
  }

  /** Go on to the next layer, or back; the same slot stays chosen and what is seen of it in place. @param {1 | -1} by */
  step(by) {
    const { stack, layer } = this.current();
    const numbers = [...this.layers(stack).keys()].sort((a, b) => a - b);
    if (!numbers.length) return;
    const { selected } = this.view;
    const ahead = layer === null ? numbers : numbers.filter((n) => (n - layer) * by > 0);
    const next = by > 0 ? ahead[0] : ahead.at(-1);
    if (next === undefined) return;
    this.go(layer === null ? this.firstInView() : next, stack, true);
    // Where the slot is missing nothing is chosen; the reader must still get on from there.
    if (selected >= 0 && this.view.selected < 0) this.view.fly(this.layers(stack).get(next).box);
  }

  /** The uppermost layer of the column of which nothing is cut off. */
  firstInView() {
    const top = this.view.map.containerPointToLatLng([0, 0]).lat;
    const whole = this.column.layers.find((/** @type {any} */ { box }) => box[1] >= top);
    return (whole ?? this.layerAt(0)).layer;
  }

  /**
   * Go to a layer: close up to the same place in it, from afar to all of it; whether there is such a layer.
   * @param {number} layer
   * @param {string} stack
   * @param {boolean} [calm] stay where the chosen tensor's twin can be seen from
   */
  go(layer, stack = this.current().stack, calm = false) {
    const { view } = this;
    const layers = this.layers(stack);
    const goal = layers.get(layer);
    if (!goal) return false;
    const before = this.current();
    const { selected } = view;
    const twin = selected >= 0 && before.stack === stack ? this.twin(selected, layer) : -1;
    const { shapes } = view.scene;
    const [from, to] = twin >= 0 ? [shapes[selected].box, shapes[twin].box] : [layers.get(before.layer)?.box, goal.box];
    const [near, sight] = [this.near(goal), view.map.getBounds()];
    view.select(twin);
    if (calm && twin >= 0 && sight.contains(mwv.latLngBox(to))) return true;
    if (near && from && sight.intersects(mwv.latLngBox(from))) view.shift(to[0] - from[0], to[1] - from[1]);
    else view.fly(twin >= 0 && calm ? to : goal.box);
    return true;
  }

  draw() {
    const { view, column, field } = this;
    if (!column) return;
    const { stack, layer } = this.current();
    // Another stack's layer is not one of these.
    const current = stack === column.stack ? layer : null;
    const height = view.map.getSize().y;
    const plane = view.outlines.view;
    const bands = column.layers.map((/** @type {any} */ one) => {
      const [, top, , tall] = mwv.onScreen(plane, one.box);
      return { ...one, top, tall };
    });
    const pitch = bands.length > 1 ? bands[1].top - bands[0].top : bands[0].tall;
    const every = mwv.every(pitch, 17) ?? 1000;
    const shown = bands.filter(
      (/** @type {any} */ band) =>
        band.top < height && band.top + band.tall > 0 && (pitch >= 5 || band.layer % every === 0 || band.layer === current)
    );
    for (const mark of this.marks.splice(shown.length)) mark.remove();
    while (this.marks.length < shown.length) {
      this.marks.push(mwv.element("span", { class: "mark" }));
      this.scale.append(this.marks[this.marks.length - 1]);
    }
    this.marks.forEach((mark, i) => {
      const band = shown[i];
      const [top, bottom] = [Math.max(band.top, 0), Math.min(band.top + band.tall, height)];
      const here = band.layer === current;
      // The number of the current layer goes before those around it.
      const crowded = current !== null && !here && Math.abs(band.layer - current) * pitch < 17;
      // Numbers stand clear of the field.
      const hidden = Math.max(mwv.FIELD - top, 0);
      mark.style.paddingTop = `${Math.min(hidden, bottom - top)}px`;
      const room = here || hidden === 0 || bottom - top - hidden > 6;
      const text = room && ((band.layer % every === 0 && !crowded) || here) ? String(band.layer) : "";
      if (mark.textContent !== text) mark.textContent = text;
      mark.title = band.label;
      mark.classList.toggle("current", here);
      mark.style.transform = `translateY(${Math.round(top)}px)`;
      mark.style.height = `${Math.max(Math.round(bottom) - Math.round(top), 1)}px`;
    });
    const numbers = column.layers.map((/** @type {any} */ one) => one.layer);
    field.title = `Go to a layer of ${mwv.text.visible(column.stack)}, ${Math.min(...numbers)} to ${Math.max(...numbers)}`;
    if (document.activeElement !== field) {
      field.value = current === null ? "" : String(current);
      field.removeAttribute("aria-invalid");
    }
  }
};
