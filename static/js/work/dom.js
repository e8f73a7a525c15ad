/* A few helpers for the document. No markup is built from strings. */

/** h("button", {class: "button", type: "button", onclick: f, "aria-label": "…"}, child, "text", …);
 * children that are null or false are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const $ = (id) => document.getElementById(id);

/** The object in <script type="application/json" id="…">, or null. */
export function jsonScript(id) {
  const element = $(id);
  return element ? JSON.parse(element.textContent) : null;
}

/** A random UUID (version 4). crypto.randomUUID exists on https and localhost only, and not every server has either. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** A number in [0, 1) that depends on the text alone (FNV-1a, then murmur3's last step): the side of a duel must be
 * random but the same after a reload, so that it cannot be drawn again. */
export function seededRandom(text) {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** A wait that `wake` on the returned promise ends early. */
export function pause(milliseconds) {
  let wake;
  const promise = new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  return Object.assign(promise, { wake });
}

/** A setting of this browser's user (a layout, never an answer); storage may be forbidden. */
export const preference = {
  read(name, fallback) {
    try {
      return JSON.parse(localStorage.getItem(`editloop.view.${name}`)) ?? fallback;
    } catch {
      return fallback;
    }
  },
  write(name, value) {
    try {
      localStorage.setItem(`editloop.view.${name}`, JSON.stringify(value));
    } catch {
      // Nothing depends on it.
    }
  },
};
