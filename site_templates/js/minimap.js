// @ts-check
"use strict";
/* A view in, a small picture of the whole scene out, with the part in view marked; a click or a drag in it moves the view. */
mwv.Minimap = class {
  /**
   * @param {HTMLElement} box a disclosure with a `.picture`
   * @param {any} view
   */
  constructor(box, view) {
    this.box = /** @type {HTMLDetailsElement} */ (box);
    this.view = view;
    this.picture = /** @type {HTMLElement} */ (box.querySelector(".picture"));
    this.frame = mwv.element("div", { class: "frame" });
    const move = (/** @type {PointerEvent} */ event) => this.moveTo(event.clientX, event.clientY);
    this.picture.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.picture.setPointerCapture(event.pointerId);
      move(event);
    });
    this.picture.addEventListener("pointermove", (event) => {
      if (this.picture.hasPointerCapture(event.pointerId)) move(event);
    });
    box.addEventListener("toggle", () => this.draw());
    view.addEventListener("scene", () => this.attach());
    this.attach();
  }

  /** Show another scene: its tensors as gray boxes, and the picture of the first scene when there is nothing else to load. */
  attach() {
    const { view, picture } = this;
    const { scene } = view;
    const [left, top, width, height] = scene.facts.bounds;
    const side = innerWidth > 2000 ? 260 : 168;
    this.shrink = Math.min(side / width, side / height);
    const [wide, high] = [width, height].map((n) => Math.max(Math.round(n * this.shrink), 20));
    picture.style.width = `${wide}px`;
    picture.style.height = `${high}px`;
    const canvas = /** @type {HTMLCanvasElement} */ (mwv.element("canvas", { width: 2 * wide, height: 2 * high, "aria-hidden": "true" }));
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale((2 * wide) / width, (2 * high) / height);
    context.fillStyle = "#8b8f98";
    for (let r = 0; r < scene.rects.length; r += 4) {
      context.fillRect(scene.rects[r] - left, scene.rects[r + 1] - top, scene.rects[r + 2], scene.rects[r + 3]);
    }
    picture.replaceChildren(canvas, this.frame);
    view.outlines.on("draw", () => this.draw());
    if (scene.facts.index !== 0) return;
    const image = mwv.element("img", { alt: "", draggable: "false" });
    view.layer.once("load", () => {
      image.setAttribute("src", view.element.dataset.overview);
      if (view.scene === scene) canvas.after(image);
    });
  }

  /** Put what lies under a point of the window into the middle of the view. */
  moveTo(clientX, clientY) {
    const { left, top, width, height } = this.picture.getBoundingClientRect();
    const [x, y, w, h] = this.view.scene.facts.bounds;
    const part = (/** @type {number} */ n) => Math.min(Math.max(n, 0), 1);
    this.view.map.setView(
      [y + h * part((clientY - top) / height), x + w * part((clientX - left) / width)],
      this.view.map.getZoom(),
      { animate: false }
    );
  }

  draw() {
    if (!this.box.open) return;
    const { view, frame } = this;
    const [x, y, w, h] = view.scene.facts.bounds;
    const sight = view.map.getBounds();
    const part = (/** @type {number} */ n) => Math.min(Math.max(n, 0), 1);
    const [left, right] = [part((sight.getWest() - x) / w), part((sight.getEast() - x) / w)];
    const [top, bottom] = [part((sight.getSouth() - y) / h), part((sight.getNorth() - y) / h)];
    const place = { left, top, width: right - left, height: bottom - top };
    for (const [name, value] of Object.entries(place)) frame.style.setProperty(name, `${(100 * value).toFixed(2)}%`);
  }
};
