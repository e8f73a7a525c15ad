/* What the annotator must know about saving: the word in the bar, and notices above the item. "Saved" appears only
   when the server has confirmed every event of this page. */
import { $, h } from "./dom.js";
import { t } from "./text.js";

export class Notices {
  /** @param {HTMLElement} root
   * @param {{outbox: object, announce: (text: string) => void, canReopen, onReopen, onPostpone: (uid: string) => …}}
   *   page */
  constructor(root, page) {
    Object.assign(this, { root, page, before: "idle", extra: null });
  }

  update() {
    const { outbox, announce } = this.page;
    const { status } = outbox;
    const n = outbox.queue.length;
    const words = {
      idle: t("nothingYet"),
      sending: t("saving"),
      saved: t("saved"),
      retrying: t("retrying", { n }),
      "signed-out": t("retrying", { n }),
    };
    $("save").dataset.status = outbox.refused.length && status === "saved" ? "refused" : status;
    $("save-text").textContent = outbox.refused.length && status === "saved" ? t("refusedTitle") : words[status];
    if (status === "saved" && this.before === "retrying") announce(t("saved"));
    if (status === "retrying" && this.before !== "retrying") announce(t("retrying", { n }));
    this.before = status;
    // Drawn again only when something changed, so that a button is not replaced under the pointer.
    const key = JSON.stringify([status, n, outbox.kept, this.extra, outbox.refused, navigator.onLine]);
    if (key === this.key) return;
    this.key = key;
    this.root.replaceChildren(
      ...[
        this.#connection(status, n),
        !outbox.kept && n > 0 && this.#warn(t("notKept")),
        this.extra && this.#warn(this.extra),
        ...outbox.refused.map((one) => this.#refusal(one)),
      ].filter(Boolean),
    );
  }

  #warn(text) {
    return h("div", { class: "alert warn notice" }, h("p", {}, text));
  }

  #connection(status, n) {
    if (status === "signed-out") {
      const { error } = this.page.outbox.signedOut;
      return h(
        "div",
        { class: "alert bad notice", role: "alert" },
        h("p", {}, [error, t("signedOut", { n })].filter(Boolean).join(" ")),
        h("a", { class: "button small", href: location.href }, t("signIn")),
      );
    }
    if (status === "retrying") return this.#warn(navigator.onLine ? t("notSaved", { n }) : t("offline", { n }));
    return null;
  }

  #refusal({ name, event, error }) {
    const { outbox, canReopen, onReopen, onPostpone } = this.page;
    const put = (act) => () => {
      act(event.assignment);
      outbox.dismiss(name);
    };
    return h(
      "div",
      { class: "alert bad notice", role: "alert" },
      h("p", {}, h("strong", {}, t("refusedTitle"), ". "), t("refusedEvent", { what: t(`kind_${event.kind}`), error })),
      canReopen(event.assignment) &&
        h("button", { type: "button", class: "button small", onclick: put(onReopen) }, t("returnToItem")),
      h("button", { type: "button", class: "button small", onclick: put(onPostpone) }, t("dismiss")),
    );
  }
}
