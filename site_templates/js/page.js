// @ts-check
"use strict";
/* The data of the model's folder in, the page at work out: the map, and all that stands around it, put together. */
(function () {
  const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const narrow = matchMedia("(max-width: 720px)");
  const folder = mwv.folder(mwv.here);
  const scenes = folder.scenes.map((/** @type {any} */ _, /** @type {number} */ index) => mwv.sceneOf(folder, index));
  const view = new mwv.View(find("map"), scenes[0], new mwv.Colours());
  mwv.view = view;
  mwv.state = new mwv.State(view, scenes);
  L.control.zoom({ position: "topright" }).addTo(view.map);

  mwv.theme.attach(find("theme"));
  mwv.legend = new mwv.Legend(find("legend"), view);
  mwv.ruler = new mwv.Ruler(find("ruler"), view);
  mwv.minimap = new mwv.Minimap(find("minimap"), view);
  mwv.keys = new mwv.Keys(find("keys"), view);
  mwv.readout = new mwv.Readout(find("readout"), view);
  mwv.panel = new mwv.Panel(find("tensor"), view);
  mwv.changes = new mwv.Changes(find("changes"), view);
  mwv.offset = new mwv.Offset(find("offset"), view);
  mwv.byteChanges = new mwv.ByteChanges(find("byte-changes"), view);
  mwv.table = new mwv.Table(find("table"), view, find("toggle-table"));
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

  mwv.nextScene = () => {
    const shown = scenes.indexOf(view.scene);
    if (scenes.length > 1) view.show(scenes[(shown + 1) % scenes.length]);
  };

  /* Words about what cannot be shown here. */
  const notice = (/** @type {string} */ text) => {
    find("notice").hidden = !text;
    find("notice").textContent = text;
  };
  const explain = () => {
    const { mode, windows } = view.scene.facts.tiles;
    notice("");
    if (!view.readable) {
      notice("This is the overview: the tiles lie in archives that a browser cannot read from disk. Serve the folder: mwv serve");
    } else if (!view.live) {
      const [leaf, overview] = (windows ?? []).map((/** @type {number[]} */ ends) => ends.map((end) => mwv.text.number(end, 2)).join(" to "));
      notice(
        "Colours are part of these tiles: palette and scale cannot be changed. " +
          `Dark to bright are magnitudes of ${leaf} at one pixel per element, of ${overview} further out.`
      );
    } else if (mode === "pmtiles") {
      view.layer.once("tileerror", () =>
        notice(
          mwv.tilesRoot
            ? `The tiles cannot be had from ${new URL(mwv.tilesRoot).host}: it is not there, busy, or asks who you are.`
            : "The tiles cannot be read: this server does not serve parts of files (Range). Serve the folder with: mwv serve"
        )
      );
    }
  };
  view.addEventListener("scene", explain);
  explain();

  /* Choosing a tensor. */
  view.map.on("click", (event) => {
    if (mwv.panel.pick(event.containerPoint)) return;
    const hit = view.at(event.latlng);
    view.select(hit ? hit.placement : -1);
    if (!hit) return;
    openPanel(true);
    // Where the panel lies over the lower part of the map, what it tells about stays in sight above it.
    const middle = (view.map.getSize().y - view.covered) / 2;
    const below = event.containerPoint.y - middle;
    if (view.covered && below > 0) view.map.panBy([0, below]);
  });

  /* The panel: beside the map where there is room, over its lower part where there is not. */
  function openPanel(/** @type {boolean} */ open) {
    document.body.classList.toggle("panel-closed", !open);
    find("toggle-panel").setAttribute("aria-expanded", String(open));
    view.map.invalidateSize({ pan: false });
    // Above the panel lies the legend.
    const legend = find("legend").offsetHeight;
    view.cover(open && narrow.matches ? find("panel").offsetHeight + (legend && legend + 16) : 0);
  }
  view.addEventListener("select", () => {
    if (view.selected >= 0) openPanel(true);
  });
  find("toggle-panel").addEventListener("click", () => openPanel(document.body.classList.contains("panel-closed")));
  find("fit").addEventListener("click", () => view.whole());
  find("native").addEventListener("click", () => view.map.setZoom(0));
  if (narrow.matches) {
    openPanel(false);
    view.whole();
  }
  mwv.state.start();
})();
