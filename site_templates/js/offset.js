// @ts-check
"use strict";
/* A view in, a field over its map out that goes to a byte by its offset; the byte found is part of the address, as `o`. */
mwv.Offset = class {
  /**
   * @param {HTMLElement} box hidden while the scene is not one of bytes
   * @param {any} view
   */
  constructor(box, view) {
    this.box = box;
    this.view = view;
    /** The byte of all that was gone to and is still pointed at, -1 for none. */
    this.found = -1;
    this.field = /** @type {HTMLInputElement} */ (
      mwv.element("input", { id: "go-to-byte", type: "text", autocomplete: "off", spellcheck: "false", "aria-label": "Go to byte" })
    );
    box.append(this.field);
    this.field.addEventListener("keydown", ({ key }) => {
      if (key === "Enter") this.accept();
      if (key === "Escape") view.element.focus();
    });
    this.field.addEventListener("input", () => this.field.removeAttribute("aria-invalid"));
    view.addEventListener("scene", () => this.attach());
    view.addEventListener("select", () => this.attach());
    view.addEventListener("read", () => {
      if (this.found < 0 || mwv.readout?.pinned) return;
      this.found = -1;
      mwv.state.changed();
    });
    mwv.state.add("o", { read: () => (this.found < 0 ? "" : mwv.hex(this.found, 1)), write: (text) => this.follow(text) });
    this.attach();
  }

  get scene() {
    return this.view.scene;
  }

  attach() {
    this.box.hidden = !this.scene.facts.curve;
    if (this.box.hidden) return;
    const { selected } = this.view;
    const of = selected < 0 || this.scene.count === 1 ? "" : ` of ${mwv.text.visible(this.scene.name(selected))}`;
    this.field.placeholder = `go to byte${of}`;
    this.field.title = `Decimal, or hexadecimal as 0x1F: a byte${of || (this.scene.count > 1 ? " of all" : "")} (g)`;
  }

  focus() {
    if (this.box.hidden) return;
    this.field.focus();
    this.field.select();
  }

  accept() {
    const { scene, selected } = this.view;
    const byte = mwv.namedByte({ scene, selected: scene.count === 1 ? 0 : selected }, this.field.value);
    if (byte === null) {
      this.field.setAttribute("aria-invalid", "true");
      this.field.select();
      return;
    }
    this.go(byte);
  }

  /** Show a byte in the middle, close up, and tell what it is. @param {number} byte */
  go(byte) {
    const { view, scene } = this;
    const [x, y] = scene.point(byte);
    view.tell("leave");
    view.go([y + 0.5, x + 0.5], Math.max(view.map.getZoom(), 3), false);
    this.point(byte, x, y);
    mwv.state.changed(true);
  }

  point(byte, x, y) {
    mwv.readout.pin(this.view.map.latLngToContainerPoint([y + 0.5, x + 0.5]));
    this.found = byte;
  }

  /** @param {string} text */
  follow(text) {
    const { view, scene } = this;
    const byte = scene.facts.curve ? mwv.namedByte({ scene, selected: -1 }, text) : null;
    if (byte === null) {
      this.found = -1;
      return;
    }
    const [x, y] = scene.point(byte);
    if (!/(^|[#&])at=/.test(location.hash)) view.go([y + 0.5, x + 0.5], 3, false);
    this.point(byte, x, y);
  }
};
