/* Pictures fetched and decoded ahead, so that no item waits for one. Each is fetched once and kept as an object URL. */
import { pause } from "./dom.js";

const TRIES = 5;

async function fetchBlob(url, priority) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await fetch(url, { credentials: "same-origin", priority });
      if (response.ok) return await response.blob();
      if (response.status < 500 || attempt === TRIES) throw new Error(`${response.status}`);
    } catch (error) {
      if (attempt === TRIES || /^4\d\d$/.test(error.message)) throw error;
    }
    await pause(500 * 2 ** attempt);
  }
}

async function decoded(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

export class Images {
  #loading = new Map();

  /** A decoded picture; asking again for the same address gives the same one. */
  load(url, priority = "auto") {
    if (!this.#loading.has(url)) {
      const loading = fetchBlob(url, priority).then(async (blob) => decoded(URL.createObjectURL(blob)));
      loading.catch(() => this.#loading.delete(url));
      this.#loading.set(url, loading);
    }
    return this.#loading.get(url);
  }

  /** Loads all pictures of an assignment: a Map from letter, or "source", to the decoded picture. */
  async loadAll(assignment, priority) {
    const wanted = [["source", assignment.source], ...assignment.images.map((image) => [image.letter, image])];
    return new Map(await Promise.all(wanted.map(async ([name, { url }]) => [name, await this.load(url, priority)])));
  }

  /** Loads the pictures of assignments one after the other, the first ones first. Their low priority leaves connections
   * to the events: a group of 23 would hold them back. A later call takes over. */
  async loadAhead(assignments) {
    const ticket = (this.ticket = Symbol("ahead"));
    for (const assignment of assignments) {
      await this.loadAll(assignment, "low").catch(() => {});
      if (ticket !== this.ticket) return;
    }
  }

  /** Lets go of every picture that none of the assignments shows. */
  keepOnly(assignments) {
    const kept = new Set(assignments.flatMap(({ source, images }) => [source.url, ...images.map(({ url }) => url)]));
    for (const [url, loading] of this.#loading) {
      if (kept.has(url)) continue;
      this.#loading.delete(url);
      loading.then((image) => URL.revokeObjectURL(image.src)).catch(() => {});
    }
  }
}

/** A second element of a decoded picture, itself decoded, for another place of the page. */
export async function copyOf(image) {
  const copy = new Image();
  copy.src = image.src;
  copy.draggable = false;
  copy.alt = "";
  await copy.decode();
  return copy;
}
