// @ts-check
"use strict";
/*
 * What the reader points at in, a card that tells it out: tensor, role, row, column, value. A mouse points by hovering, a
 * finger by a long press, the keyboard with the centre of the view while the map has the focus. A card can be pinned (Alt and
 * click, a long press, the key v) and copied. `view.reading` is what is told now; "read" events of the view tell of another.
 */

/** Milliseconds that a finger must rest. */
mwv.LONG_PRESS = 500;

mwv.Readout = class {
  /**
   * @param {HTMLElement} box
   * @param {any} view
   */
  constructor(box, view) {
    this.box = box;
    this.view = view;
    this.exact = new mwv.Exact(view.scene.folder);
    /** Where the pointer is, in pixels of the map; null when it is elsewhere. @type {any} */
    this.pointer = null;
    this.pinned = false;
    /** Counts what was asked for, so that late answers about earlier places are dropped. */
    this.turn = 0;
    this.cross = mwv.element("div", { class: "crosshair", "aria-hidden": "true", hidden: "" });
    /** A frame around the pixel that a pinned card tells of. */
    this.spot = mwv.element("div", { class: "spot", "aria-hidden": "true", hidden: "" });
    this.figure = mwv.element("p", { class: "figure" });
    this.lines = mwv.element("div", { class: "lines" });
    this.copyButton = this.button("Copy", "Copy as text, with the address of this view", () => this.copy());
    this.exactButton = this.button("Exact value", "", () => this.fetchExact());
    this.closeButton = this.button("×", "Close (Esc)", () => this.unpin());
    this.closeButton.setAttribute("aria-label", "Close");
    this.tools = mwv.element("div", { class: "row" }, this.copyButton, this.exactButton, this.closeButton);
    box.append(this.figure, this.lines, this.tools);
    view.element.append(this.cross, this.spot);
    this.watch(view.element);
    view.map.on("move zoom", () => this.place());
    view.map.on("movestart zoomstart", () => this.pinned || this.keyed || this.hide());
    view.addEventListener("move", () => this.look());
    view.addEventListener("scene", () => {
      this.exact = new mwv.Exact(view.scene.folder);
      this.unpin();
    });
  }

  button(label, title, action) {
    const button = mwv.element("button", { type: "button", title }, label);
    button.addEventListener("click", action);
    return button;
  }

  /** Whether the keyboard points: with the centre of the view. */
  get keyed() {
    return !this.pointer && document.activeElement === this.view.element && this.view.element.matches(":focus-visible");
  }

  /** @param {HTMLElement} element */
  watch(element) {
    let press = 0;
    /** Whether a long press has just been made: the click that may follow it means nothing. */
    let pressed = false;
    /** @type {any} */
    let start = null;
    const at = (/** @type {any} */ event) => this.view.map.mouseEventToContainerPoint(event);
    const release = () => window.clearTimeout(press);
    element.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch") {
        if (start && at(event).distanceTo(start) > 10) release();
        return;
      }
      const over = /** @type {Element} */ (event.target).closest(".leaflet-control");
      this.pointer = over || event.buttons ? null : at(event);
      this.look();
    });
    element.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.look();
    });
    element.addEventListener("pointerdown", (event) => {
      release();
      pressed = false;
      if (event.pointerType !== "touch" || !event.isPrimary) return;
      start = at(event);
      press = window.setTimeout(() => {
        pressed = true;
        this.pin(start);
      }, mwv.LONG_PRESS);
    });
    for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, release);
    element.addEventListener("contextmenu", (event) => pressed && event.preventDefault());
    // Before Leaflet hears of it: this click pins and chooses no tensor.
    element.addEventListener(
      "click",
      (event) => {
        if (event.altKey) this.pin(at(event));
        if (event.altKey || pressed) event.stopImmediatePropagation();
      },
      true
    );
    for (const name of ["focus", "blur"]) element.addEventListener(name, () => this.look());
  }

  /** Pin what is read out, or let go of what is pinned. */
  toggle() {
    if (this.pinned) {
      this.unpin();
    } else {
      this.pin(this.pointer ?? this.centre());
      this.copyButton.focus();
    }
  }

  centre() {
    return this.view.map.getSize().divideBy(2);
  }

  /** Tell what is under the pointer, or under the centre of the view when the keyboard points. */
  look() {
    this.cross.hidden = !this.keyed;
    if (this.pinned) return;
    const point = this.pointer ?? (this.keyed ? this.centre() : null);
    // A strip at the edge of a tensor tells of itself, not of the pixels that it lies on.
    if (!point || (this.pointer && mwv.panel.edges.at(point))) {
      this.hide();
      return;
    }
    this.box.setAttribute("aria-live", this.pointer ? "off" : "polite");
    this.tell(point);
  }

  /**
   * Read what is at a point of the map and show it.
   * @param {any} point
   */
  async tell(point) {
    const turn = (this.turn += 1);
    const { map, scene, codes } = this.view;
    const place = map.containerPointToLatLng(point);
    const level = mwv.levelInView(this.view);
    const [x, y] = [place.lng, place.lat].map((n) => Math.floor(n / 2 ** level));
    const elements = mwv.elementsUnder(scene, x * 2 ** level, y * 2 ** level, 2 ** level);
    if (!elements.length) {
      this.pinned = false;
      this.hide();
      return;
    }
    this.at = place;
    const reading = { scene, level, elements, code: codes ? codes.at(level, x, y) : null, exact: null, sides: null, problem: "" };
    this.show(reading);
    if (reading.code instanceof Promise) {
      try {
        reading.code = await reading.code;
      } catch {
        [reading.code, reading.problem] = [null, "The value could not be loaded."];
      }
      if (turn !== this.turn) return;
      this.show(reading);
    }
    const classes = mwv.classesUnder(this.view, reading, x, y).catch(() => []);
    const bytes = scene.bytesUnder?.(reading).catch(() => null);
    [reading.stored, reading.classes, reading.bytes] = await Promise.all([mwv.storedLines(scene, elements[0]), classes, bytes]);
    if (turn !== this.turn) return;
    if (reading.stored.length || reading.classes.length || reading.bytes) this.show(reading);
    const element = this.single(reading);
    if (!element || scene.facts.curve) return;
    try {
      if (scene.facts.difference) await mwv.readSides(this.exact, reading, element);
      else reading.exact = await this.exact.served(scene, element.placement, element.rows[0], element.cols[0]);
    } catch (error) {
      reading.problem = error.message;
    }
    if (turn === this.turn && (reading.exact || reading.problem || reading.sides)) this.show(reading);
  }

  /** The one element that a reading is about, if it is one that the files have. @param {any} reading */
  single({ scene, level, elements }) {
    if (scene.facts.curve) return null;
    return level === 0 && elements.length === 1 && !scene.missing(elements[0].placement) ? elements[0] : null;
  }

  /** @param {any} reading */
  show(reading) {
    this.view.reading = reading;
    this.view.tell("read");
    this.figure.textContent = mwv.readingValue(reading);
    this.figure.classList.toggle("exact", reading.exact !== null);
    const { scene, elements } = reading;
    const [first] = elements;
    const line = (/** @type {string} */ kind, /** @type {any[]} */ ...text) => mwv.element("p", { class: kind }, ...text);
    const lines = [line("name", ...mwv.breakable(mwv.text.visible(scene.name(first.placement))))];
    const role = mwv.roleText(scene, first.placement);
    if (role) lines.push(line("role", role));
    lines.push(line("place", mwv.placeText(first, scene)));
    const side = mwv.sideOf(scene, first);
    if (side) lines.push(line("quiet", `only in ${mwv.text.visible(side)}: its own value`));
    if (reading.sides) lines.push(line("place sides", ...mwv.sidesText(reading)));
    if (scene.facts.curve) lines.push(...scene.lines(reading).map((/** @type {string} */ text) => line("quiet", text)));
    for (const text of reading.stored ?? []) lines.push(line("place stored", text));
    const more = elements.length - 1;
    if (more) lines.push(line("quiet", `and ${more} more ${scene.facts.curve ? "file" : "tensor"}${mwv.text.plural(more)} under this pixel`));
    const why = reading.problem || mwv.withoutValues(this.view);
    if (why) lines.push(line("quiet why", why));
    this.lines.replaceChildren(...lines);
    const element = this.single(reading);
    this.exactButton.hidden = !element || reading.exact !== null || !this.exact.published(scene, element.placement);
    if (!this.exactButton.hidden) this.exactButton.title = `Ask ${new URL(scene.folder.record.url).host} for its bytes`;
    this.tools.hidden = !this.pinned;
    this.box.classList.toggle("pinned", this.pinned);
    this.spot.hidden = !this.pinned;
    this.box.hidden = false;
    this.place();
  }

  hide() {
    this.turn += 1;
    this.box.hidden = this.spot.hidden = true;
    this.box.classList.remove("pinned");
    if (this.view.reading) {
      this.view.reading = null;
      this.view.tell("read");
    }
  }

  /** Put the card beside what it tells about, on the side where there is room. */
  place() {
    if (this.box.hidden) return;
    const point = this.view.map.latLngToContainerPoint(this.at);
    const { x: wide, y: high } = this.view.map.getSize();
    const { offsetLeft: left, offsetTop: top } = this.view.element;
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const beside = (/** @type {number} */ at, /** @type {number} */ own, /** @type {number} */ whole) =>
      Math.max(8, Math.min(at + 18 + own + 8 <= whole ? at + 18 : at - 18 - own, whole - own - 8));
    const [x, y] = [left + beside(point.x, width, wide), top + beside(point.y, height, high - this.view.covered)];
    this.box.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    if (this.pinned) this.frame();
  }

  /** Put the frame around the pixel; around a small one it is larger. */
  frame() {
    const { map } = this.view;
    const step = 2 ** this.view.reading.level;
    const [left, top] = [this.at.lng, this.at.lat].map((n) => Math.floor(n / step) * step);
    const corner = map.latLngToContainerPoint([top, left]);
    const size = step * map.getZoomScale(map.getZoom(), 0);
    const extra = Math.max(9 - size, 0) / 2;
    const { style } = this.spot;
    style.width = style.height = `${size + 2 * extra}px`;
    style.transform = `translate(${corner.x - extra}px, ${corner.y - extra}px)`;
  }

  /** Keep the card of a point of the map. @param {any} point */
  pin(point) {
    this.pinned = true;
    this.box.setAttribute("aria-live", "polite");
    this.tell(point);
  }

  unpin() {
    if (this.pinned && this.box.contains(document.activeElement)) this.view.element.focus();
    this.pinned = false;
    this.copyButton.textContent = "Copy";
    this.hide();
    this.look();
  }

  /** Ask the public source, because the reader wants it so. */
  async fetchExact() {
    const { reading } = this.view;
    const element = this.single(reading);
    const turn = this.turn;
    this.exactButton.disabled = true;
    try {
      reading.exact = await this.exact.fetched(reading.scene, element.placement, element.rows[0], element.cols[0], reading.code);
      reading.problem = "";
    } catch (error) {
      reading.problem = error.message;
    }
    this.exactButton.disabled = false;
    if (turn === this.turn) this.show(reading);
  }

  async copy() {
    mwv.state.flush();
    const text = `${mwv.readingText(this.view.reading)}\n${location.href}`;
    this.copyButton.textContent = await mwv.copy(text).then(() => "Copied", () => "Not copied");
  }
};

/** Why there are no values here, in one line; "" where there are. @param {any} view */
mwv.withoutValues = function (view) {
  if (view.codes) return "";
  if (view.scene.facts.tiles.picture) return "No values: colours are part of these tiles.";
  if (location.protocol === "file:") return "No values from disk; serve the folder: mwv serve";
  return "No values: this browser alters what pages read from pictures.";
};

/** The value of a reading. @param {any} reading */
mwv.readingValue = function (reading) {
  const { scene, level, elements, code, exact } = reading;
  if (scene.facts.curve) return scene.value(reading);
  if (exact !== null) return `= ${exact}`;
  if (code instanceof Promise) return "…";
  if (code === null) return scene.missing(elements[0].placement) ? mwv.CODE_WORDS[251][0] : "";
  const { tensors, placements } = scene.facts;
  const units = new Set(elements.map((/** @type {any} */ e) => tensors.exponents[placements.tensor[e.placement]] ?? 0));
  const [unit] = units;
  // Tensors of different units have no common stored value: the figure is then on the scale of the picture.
  const write = (/** @type {number} */ exponent) => mwv.deltaText(reading, exponent) || mwv.codeText(code, level, exponent);
  return units.size === 1 ? write(unit) : `${write(0)} (value × unit)`;
};

/** "layer 3 · attn_q · expert 2"; "" where the name says it all. */
mwv.roleText = function (scene, placement) {
  const { layer, slot, expert } = scene.role(placement);
  const parts = layer === null ? [] : [`layer ${layer}`, mwv.text.visible(slot)];
  if (expert !== null) parts.push(`expert ${expert}`);
  return parts.join(" · ");
};

/** "row 12, column 345" or "rows 0–63, columns 64–127"; where bytes lie in their file. @param {any} element @param {any} scene */
mwv.placeText = function (element, scene) {
  const { rows, cols } = element;
  if (scene.facts.curve) return scene.span(element);
  const span = (/** @type {string} */ what, /** @type {number[]} */ [from, to]) =>
    from === to ? `${what} ${mwv.text.thousands(from)}` : `${what}s ${mwv.text.thousands(from)}–${mwv.text.thousands(to)}`;
  return `${span("row", rows)}, ${span("column", cols)}`;
};

/** A reading as a line of text. @param {any} reading */
mwv.readingText = function (reading) {
  const { scene, elements } = reading;
  const spans = elements.map((/** @type {any} */ element) => {
    const name = mwv.text.visible(scene.name(element.placement));
    const span = (/** @type {number[]} */ [from, to]) => (from === to ? from : `${from}–${to}`);
    return `${name}${scene.facts.curve ? scene.reference(element) : ` [${span(element.rows)}, ${span(element.cols)}]`}`;
  });
  return `${spans.join("; ")} ${mwv.readingValue(reading)}`.trim();
};
