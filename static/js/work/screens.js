/* What fills the page when there is no item: loading, a break, feedback, another page that comes first, the end, or no
   server. */
import { h } from "./dom.js";
import { caps } from "./keymap.js";
import { t } from "./text.js";

const clock = (milliseconds) => {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

export class Screens {
  /** @param {HTMLElement} root
   * @param {{home: string, onContinue: () => void, onAgain: () => void, onBack: () => void}} page */
  constructor(root, page) {
    Object.assign(this, { root, page, reason: null });
  }

  hide() {
    this.#fill(null, []);
    this.root.hidden = true;
  }

  show({ reason, sentence, until, title, go, feedback }) {
    this.root.hidden = false;
    const button = (text, onclick, primary = false) =>
      h("button", { type: "button", class: primary ? "button primary" : "button", onclick }, text);
    const home = h("a", { class: "button", href: this.page.home }, t("toHome"));
    const wait = (text) => [
      h("p", { class: "lead" }, h("span", { class: "spinner", "aria-hidden": "true" }), " ", text),
    ];
    const screens = {
      loading: () => wait(t("loading")),
      sending: () => wait(t("sending")),
      unreachable: () => wait(t("unreachable")),
      "signed-out": () => [
        h("h2", {}, t("refusedScreen")),
        sentence && h("p", {}, sentence),
        h("a", { class: "button primary", href: location.href }, t("signIn")),
        home,
      ],
      refused: () => [h("h2", {}, t("refusedScreen")), h("p", {}, sentence), home],
      step: () => [
        h("h2", {}, title || t("stepTitle")),
        h("p", { class: "lead" }, sentence),
        h("p", { class: "row" }, h("a", { class: "button primary", href: go }, t("goOn")), home),
      ],
      feedback: () => this.#feedback(feedback),
      done: () => [
        h("h2", {}, t("doneTitle")),
        h("p", { class: "lead" }, sentence),
        h(
          "p",
          { class: "row" },
          h("a", { class: "button primary", href: this.page.home }, t("toHome")),
          button(t("checkAgain"), this.page.onAgain),
          this.#back(),
        ),
      ],
      break: () => this.#break(sentence, until),
    };
    this.#fill(reason, screens[reason]());
    this.root.querySelector("a.primary, button.primary")?.focus();
  }

  #back() {
    return h("button", { type: "button", class: "button", onclick: this.page.onBack }, t("previous"), caps("U"));
  }

  /** What was right in training, and why, with the pictures it is about. */
  #feedback({ is_right: right, title, lines, words, images }) {
    const row = (line) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, line.label),
        h("td", {}, `${line.is_right ? "✓" : "✗"} ${line.said}`),
        h("td", {}, line.right),
      );
    const head = h("tr", {}, ...["", t("yourAnswer"), t("rightAnswer")].map((text) => h("th", { scope: "col" }, text)));
    const picture = ({ label, url }) =>
      h("figure", {}, h("img", { src: url, alt: t("picture", { label }) }), h("figcaption", {}, label));
    return [
      h("h2", { class: right ? "feedback-right" : "feedback-wrong" }, right ? "✓ " : "✗ ", title),
      h("table", { class: "table" }, h("thead", {}, head), h("tbody", {}, ...lines.map(row))),
      words && h("p", { class: "lead" }, words),
      h("div", { class: "feedback-pictures" }, ...images.map(picture)),
      h("button", { type: "button", class: "button primary", onclick: this.page.onContinue }, t("goOn"), caps("Enter")),
    ];
  }

  #break(sentence, until) {
    const left = h("p", { class: "break-clock num" });
    const go = h(
      "button",
      { type: "button", class: "button primary", disabled: true, onclick: this.page.onContinue },
      t("continue"),
      caps("Enter"),
    );
    const tick = () => {
      const rest = until - Date.now();
      left.textContent = rest > 0 ? t("breakLeft", { time: clock(rest) }) : t("breakOver");
      if (rest > 0 || !go.disabled) return;
      go.disabled = false;
      go.focus();
    };
    tick();
    queueMicrotask(() => (this.timer = setInterval(tick, 500)));
    return [
      h("h2", {}, t("breakTitle")),
      h("p", { class: "lead" }, sentence),
      left,
      h("p", { class: "row" }, go, h("a", { class: "button", href: this.page.home }, t("toHome"))),
    ];
  }

  #fill(reason, content) {
    clearInterval(this.timer);
    this.reason = reason;
    this.root.dataset.reason = reason ?? "";
    this.root.replaceChildren(h("div", { class: "screen-card" }, ...content.filter(Boolean)));
  }
}
