// @ts-check
"use strict";
/*
 * Addresses of PMTiles archives in, tiles out, with few requests: what is asked for at once and lies close together is fetched
 * together, tiles are kept a while, and where a server answers with a redirect (the Hub does, to an address that is signed for
 * an hour), it is asked once for each archive and not again for each tile. It counts those requests and limits them.
 */

/** Bytes between two tiles that are fetched rather than asked around. */
mwv.ARCHIVE_GAP = 96 << 10;
/** Most bytes of one request. */
mwv.ARCHIVE_RANGE = 2 << 20;
/** Tiles that are kept. */
mwv.ARCHIVE_TILES = 96;
/** Times that a busy server is asked. */
mwv.ARCHIVE_TRIES = 6;

/** Until when no server is asked, as one said that it is busy. */
mwv.busyUntil = 0;

mwv.ArchiveSource = class {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
    /** Where the redirect of the server leads, while that is known to hold. @type {string | null} */
    this.direct = null;
    /** The request that finds out, if one is on its way. @type {Promise<any> | null} */
    this.asking = null;
    /** Whether the server itself has the bytes. */
    this.plain = false;
    /** @type {{offset: number, length: number, resolve: (answer: {data: ArrayBuffer}) => void, reject: (error: any) => void}[]} */
    this.wanted = [];
  }

  /** What PMTiles files what it knows under. */
  getKey() {
    return this.url;
  }

  /**
   * Some bytes, fetched together with others that are asked for at the same time.
   * @param {number} offset
   * @param {number} length
   * @returns {Promise<{data: ArrayBuffer}>}
   */
  getBytes(offset, length) {
    return new Promise((resolve, reject) => {
      if (!this.wanted.length) setTimeout(() => this.fetch(), 4);
      this.wanted.push({ offset, length, resolve, reject });
    });
  }

  /** Ask for all that is wanted. */
  fetch() {
    const wanted = this.wanted.sort((a, b) => a.offset - b.offset);
    this.wanted = [];
    while (wanted.length) {
      const begin = wanted[0].offset;
      let end = begin;
      let count = 0;
      for (const { offset, length } of wanted) {
        if (count && (offset - end > mwv.ARCHIVE_GAP || offset + length - begin > mwv.ARCHIVE_RANGE)) break;
        end = Math.max(end, offset + length);
        count += 1;
      }
      const group = wanted.splice(0, count);
      this.range(begin, end).then(
        (data) => group.forEach(({ offset, length, resolve }) => resolve({ data: data.slice(offset - begin, offset - begin + length) })),
        (error) => group.forEach(({ reject }) => reject(error))
      );
    }
  }

  /** Bytes `begin` to `end` - 1. @param {number} begin @param {number} end @returns {Promise<ArrayBuffer>} */
  async range(begin, end) {
    for (let attempt = 1; ; attempt += 1) {
      while (!this.direct && !this.plain && this.asking) await this.asking.catch(() => {});
      const { direct } = this;
      const asking = this.ask(direct ?? this.url, begin, end);
      if (!direct && !this.plain) {
        this.asking = asking;
        asking.catch(() => {}).finally(() => (this.asking = null));
      }
      // A refusal that comes without leave to read it looks like a broken connection.
      const answer = await asking.catch((error) => {
        if (!direct) throw error;
        return null;
      });
      if (answer?.status === 206) {
        if (!direct) [this.direct, this.plain] = answer.redirected ? [answer.url, false] : [null, true];
        return answer.arrayBuffer();
      }
      answer?.body?.cancel();
      if (!answer || (direct && answer.status >= 400 && answer.status < 500 && answer.status !== 429)) {
        if (this.direct === direct) this.direct = null; // its signature has expired
        if (attempt >= mwv.ARCHIVE_TRIES) throw new Error(`${this.url}: refused`);
      } else if (![429, 502, 503, 504].includes(answer.status) || attempt >= mwv.ARCHIVE_TRIES) {
        throw new Error(answer.status === 200 ? `${this.url}: no part of it can be had` : `${this.url}: ${answer.status}`);
      } else {
        const asked = Number(answer.headers.get("Retry-After"));
        mwv.busyUntil = Date.now() + 1000 * Math.min(asked > 0 ? asked : 2 ** attempt, 300);
      }
    }
  }

  /** One request, when no server is busy. @param {string} address @param {number} begin @param {number} end */
  async ask(address, begin, end) {
    for (let left = mwv.busyUntil - Date.now(); left > 0; left = mwv.busyUntil - Date.now()) {
      await new Promise((resolve) => setTimeout(resolve, left + Math.random() * Math.min(left, 1000)));
    }
    return fetch(address, { headers: { Range: `bytes=${begin}-${end - 1}` } });
  }
};

/** Archives by address. @type {Map<string, any>} */
mwv.archives = new Map();
/** Tiles, or promises of them, the least recently used first. @type {Map<string, Promise<Blob | null>>} */
mwv.archiveTiles = new Map();

/**
 * A tile of an archive, null where it has none.
 * @param {string} url
 * @param {number} z
 * @param {number} x
 * @param {number} y
 * @returns {Promise<Blob | null>}
 */
mwv.archiveTile = function (url, z, x, y) {
  const id = `${url} ${z}/${x}/${y}`;
  const known = mwv.archiveTiles.get(id);
  mwv.archiveTiles.delete(id);
  const tile = known ?? mwv.unpackTile(url, z, x, y);
  mwv.archiveTiles.set(id, tile);
  if (!known) tile.catch(() => mwv.archiveTiles.delete(id));
  if (mwv.archiveTiles.size > mwv.ARCHIVE_TILES) mwv.archiveTiles.delete(mwv.archiveTiles.keys().next().value);
  return tile;
};

/** The same, from the archive. @param {string} url @param {number} z @param {number} x @param {number} y */
mwv.unpackTile = async function (url, z, x, y) {
  if (!mwv.archives.has(url)) mwv.archives.set(url, new pmtiles.PMTiles(new mwv.ArchiveSource(url)));
  const tile = await mwv.archives.get(url).getZxy(z, x, y);
  if (!tile) return null;
  const png = new DataView(tile.data).getUint32(0) === 0x89504e47;
  return new Blob([tile.data], { type: png ? "image/png" : "image/avif" });
};
