// @ts-check
"use strict";
/* The data of the model's folder in, the page at work out: the map, and all that stands around it, put together. */
(function () {
  const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const narrow = matchMedia("(max-width: 720px)");
  const folder = mwv.folder(mwv.here);
  const scenes = folder.scenes.map((/** @type {any} */ _, /** @type {number} */ index) => new mwv.Scene(folder, index));
  const view = new mwv.View(find("map"), scenes[0], new mwv.Colours());
  mwv.view = view;
  L.control.zoom({ position: "topright" }).addTo(view.map);

  mwv.theme.attach(find("theme"));
  mwv.legend = new mwv.Legend(find("legend"), view);
  const panel = new mwv.Panel(find("tensor"), view);
  mwv.compare = new mwv.Compare(find("comparing"), view, find("compare"), find("comparison"));

  /* Scenes as tabs. */
  const tabs = find("tabs");
  tabs.hidden = scenes.length < 2;
  scenes.forEach((/** @type {any} */ scene) => {
    const tab = mwv.element("button", { type: "button" }, scene.facts.title);
    tab.addEventListener("click", () => view.show(scene));
    const mark = () => tab.setAttribute("aria-pressed", String(view.scene === scene));
    view.addEventListener("scene", mark);
    mark();
    tabs.append(tab);
  });

  /* Words about what cannot be shown here. */
  const notice = (/** @type {string} */ text) => {
    find("notice").hidden = !text;
    find("notice").textContent = text;
  };
  const explain = () => {
    const { mode } = view.scene.facts.tiles;
    notice("");
    if (!view.readable) {
      notice("This is the overview: the tiles lie in archives that a browser cannot read from disk. Serve the folder: mwv serve");
    } else if (!view.live) {
      notice("Colours are part of these tiles: palette and scale cannot be changed.");
    } else if (mode === "pmtiles") {
      view.layer.once("tileerror", () =>
        notice("The tiles cannot be read: this server does not serve parts of files (Range). Serve the folder with: mwv serve")
      );
    }
  };
  view.addEventListener("scene", explain);
  explain();

  /* Choosing a tensor. */
  view.map.on("click", (event) => {
    const hit = view.at(event.latlng);
    view.select(hit ? hit.placement : -1);
    if (!hit) return;
    openPanel(true);
    // Where the panel lies over the lower part of the map, what it tells about stays in sight above it.
    const covered = event.containerPoint.y - view.map.getSize().y * 0.3;
    if (narrow.matches && covered > 0) view.map.panBy([0, covered]);
  });

  /* The panel: beside the map where there is room, over its lower part where there is not. */
  function openPanel(/** @type {boolean} */ open) {
    document.body.classList.toggle("panel-closed", !open);
    find("toggle-panel").setAttribute("aria-expanded", String(open));
    view.map.invalidateSize({ pan: false });
  }
  view.addEventListener("select", () => {
    if (view.selected >= 0) openPanel(true);
    panel.show(view.selected);
  });
  find("toggle-panel").addEventListener("click", () => openPanel(document.body.classList.contains("panel-closed")));
  find("fit").addEventListener("click", () => view.whole());
  find("native").addEventListener("click", () => view.map.setZoom(0));
  if (narrow.matches) {
    openPanel(false);
    find("legend").removeAttribute("open");
    view.whole();
  }
})();
