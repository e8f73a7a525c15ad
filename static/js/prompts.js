/* The editor of a prompt's questions: every [data-questions] on the page. Rows are moved in the document, and their
   order is what the form sends. A page that puts one in later calls begin() with it. Forms with data-guard warn before
   what was typed is lost. */

const filled = (text, values) =>
  Object.entries(values).reduce((all, [key, value]) => all.replace(`{${key}}`, value), text);

class Questions {
  #taken = null; // {row, next}: what "Put it back" brings back

  constructor(root) {
    this.root = root;
    this.list = root.querySelector("[data-rows]");
    this.status = root.querySelector("[data-said]");
    this.restoreButton = root.querySelector("[data-restore]");
    this.next = 1 + Math.max(-1, ...this.rows.map((row) => Number(row.dataset.row)));
    root.classList.add("live");
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("change", () => this.#number());
    this.list.addEventListener("keydown", (event) => this.#key(event));
  }

  get rows() {
    return [...this.list.children];
  }

  #click(event) {
    const button = event.target.closest("button");
    const row = button?.closest("[data-row]");
    if (!button) return;
    if (button.dataset.move) this.move(row, Number(button.dataset.move), button);
    else if ("remove" in button.dataset) this.remove(row);
    else if ("add" in button.dataset) this.add();
    else if ("restore" in button.dataset) this.restore();
  }

  #key(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || !event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.move(event.target.closest("[data-row]"), by, event.target);
  }

  move(row, by, focused) {
    const rows = this.rows;
    const place = rows.indexOf(row) + by;
    if (place < 0 || place >= rows.length) return this.#say("edge", row);
    if (by < 0) rows[place].before(row);
    else rows[place].after(row);
    focused.focus(); // a moved element loses it
    this.#changed("moved", row);
  }

  add(text = "") {
    const row = this.root.querySelector("template").content.firstElementChild.cloneNode(true);
    const number = String(this.next++);
    const name = this.root.dataset.questions;
    row.dataset.row = number;
    for (const field of row.querySelectorAll("[name]")) {
      if (field.name === name) field.value = number;
      else field.name = field.name.replace(/ROW$/, number);
    }
    this.list.append(row);
    row.querySelector("textarea").value = text;
    row.querySelector("textarea").focus();
    this.#changed("added", row);
  }

  remove(row) {
    this.#taken = { row, next: row.nextElementSibling };
    row.remove();
    this.restoreButton.hidden = false;
    this.restoreButton.focus();
    this.#changed("removed", row);
  }

  restore() {
    const { row, next } = this.#taken;
    this.list.insertBefore(row, next?.parentElement === this.list ? next : null);
    this.#taken = null;
    this.restoreButton.hidden = true;
    row.querySelector("textarea").focus();
    this.#changed("back", row);
  }

  #changed(what, row) {
    this.#number();
    this.#say(what, row);
    this.root.dispatchEvent(new Event("input", { bubbles: true })); // as if typed: for whoever watches the form
  }

  #say(what, row) {
    const place = this.rows.indexOf(row) + 1;
    this.status.textContent = filled(this.root.dataset[what], { place, count: this.rows.length });
  }

  #number() {
    let number = 0;
    for (const row of this.rows) {
      const on = row.querySelector("[data-on]").checked;
      row.querySelector("[data-number]").textContent = on ? ++number : "–";
    }
  }
}

export function begin(root) {
  return new Questions(root);
}

for (const root of document.querySelectorAll("[data-questions]")) begin(root);

for (const form of document.querySelectorAll("form[data-guard]")) {
  let typed = form.querySelector(".errorlist") !== null; // what was refused is not kept anywhere yet
  form.addEventListener("input", () => (typed = true));
  form.addEventListener("submit", () => (typed = false));
  addEventListener("beforeunload", (event) => {
    if (typed) event.preventDefault();
  });
}
