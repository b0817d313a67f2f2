// @ts-check
"use strict";
/* The first scene of the model in, the page at work out: map, colours, outlines, legend and panel put together. */
(function () {
  const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const scene = new mwv.Scene(mwv.facts[0]);
  const { bounds: box, tiles } = scene.facts;
  const narrow = matchMedia("(max-width: 720px)");
  const bounds = L.latLngBounds([box[1], box[0]], [box[1] + box[3], box[0] + box[2]]);

  const map = L.map("map", {
    crs: mwv.crs,
    attributionControl: false,
    zoomControl: false,
    zoomSnap: 0.25,
    maxZoom: 6,
    minZoom: -30,
    fadeAnimation: false,
    maxBoundsViscosity: 0.6,
    wheelPxPerZoomLevel: 90,
    wheelDebounceTime: 20,
  });
  L.control.zoom({ position: "topright" }).addTo(map);

  const whole = () => map.getBoundsZoom(bounds, false, L.point(48, 48));
  const limit = () => {
    map.setMinZoom(Math.min(whole(), 0));
    map.setMaxBounds(bounds.pad(0.5));
  };
  const showAll = () => map.setView(bounds.getCenter(), Math.min(whole(), 0));

  map.setView(bounds.getCenter(), Math.min(whole(), 0));
  limit();
  map.on("resize", limit);

  /* From disk a browser cannot read inside archives: the overview stands in for them. */
  const unreadable = tiles.mode === "pmtiles" && location.protocol === "file:";
  const layer = unreadable ? L.imageOverlay(find("map").dataset.overview, bounds) : new mwv.TileLayer(scene);
  layer.addTo(map);
  const outlines = new mwv.OutlineLayer(scene).addTo(map);

  /* Colours: live where tiles are codes, baked in where they are pictures. */
  let colours = null;
  if (unreadable || tiles.picture) {
    find("legend").hidden = true;
    const [leaf, overview] = (tiles.windows ?? []).map((ends) => ends.map((end) => mwv.text.number(end, 2)).join(" to "));
    notice(
      unreadable
        ? "This is the overview: the tiles lie in archives that a browser cannot read from disk. Serve the folder: mwv serve"
        : "Colours are part of these tiles: palette and scale cannot be changed. " +
            `Dark to bright are magnitudes of ${leaf} at one pixel per element, of ${overview} further out.`
    );
  } else {
    colours = new mwv.Colours(map.getPane("tilePane"));
    const fit = (gentle = true) => {
      if (colours.fitted) colours.setWindow(...mwv.fittedWindow(scene.facts, map.getZoom()), gentle);
    };
    fit(false);
    map.on("zoomend", () => fit());
    mwv.legend = new mwv.Legend(find("legend").querySelector(".legend-body"), colours, fit);
  }
  if (tiles.mode === "pmtiles" && !unreadable) {
    layer.once("tileerror", () =>
      notice("The tiles cannot be read: this server does not serve parts of files (Range). Serve the folder with: mwv serve")
    );
  }
  mwv.view = { map, scene, layer, outlines, colours };

  /* Selection. */
  const panel = new mwv.Panel(find("tensor"), scene, () => outlines.select(-1));
  const select = (/** @type {number} */ placement) => {
    outlines.select(placement);
    openPanel(true);
    panel.show(placement);
  };
  const pixel = (/** @type {any} */ latlng) => scene.at(Math.floor(latlng.lng), Math.floor(latlng.lat));
  map.on("click", (event) => {
    const hit = pixel(event.latlng);
    if (hit) {
      select(hit.placement);
      // Where the panel lies over the lower part of the map, what it tells about stays in sight above it.
      const covered = event.containerPoint.y - map.getSize().y * 0.3;
      if (narrow.matches && covered > 0) map.panBy([0, covered]);
    } else {
      outlines.select(-1);
      panel.clear();
    }
  });

  /* Where the pointer is. */
  const position = find("position");
  map.on("mousemove", (event) => {
    const hit = pixel(event.latlng);
    position.hidden = !hit;
    if (hit) position.textContent = `${mwv.text.visible(scene.name(hit.placement))}  [${hit.row}, ${hit.col}]`;
  });
  map.on("mouseout", () => {
    position.hidden = true;
  });

  /* The panel: beside the map where there is room, over its lower part where there is not. */
  function openPanel(/** @type {boolean} */ open) {
    document.body.classList.toggle("panel-closed", !open);
    find("toggle-panel").setAttribute("aria-expanded", String(open));
    map.invalidateSize({ pan: false });
  }
  find("toggle-panel").addEventListener("click", () => openPanel(document.body.classList.contains("panel-closed")));
  find("fit").addEventListener("click", showAll);
  find("native").addEventListener("click", () => map.setZoom(0));
  if (narrow.matches) {
    openPanel(false);
    find("legend").removeAttribute("open");
    showAll();
  }

  /** @param {string} text */
  function notice(text) {
    const line = find("notice");
    line.hidden = false;
    line.textContent = text;
  }
})();
