// What the viewer's scripts use beyond Leaflet's published types, for the check of types: the PMTiles library, and two methods that
// Leaflet calls on every layer of tiles but does not document.
import "leaflet";

declare global {
  const pmtiles: any;
}
declare module "leaflet" {
  interface GridLayer {
    initialize(options: any): void;
    _setView(...where: any[]): void;
  }
}
