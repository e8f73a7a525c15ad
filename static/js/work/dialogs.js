/* The dialogs of the annotation pages: keys, guidelines and flags. */
import { h } from "./dom.js";
import { caps, digitOf, helpFor } from "./keymap.js";
import { t } from "./text.js";

export const FLAGS = ["no_edit", "broken", "unsafe", "cannot_judge"];

function open(title, content, className = "") {
  const close = h(
    "button",
    { type: "button", class: "button small", onclick: () => dialog.close() },
    t("close"),
    caps("Escape"),
  );
  const dialog = h(
    "dialog",
    { class: className, "aria-label": title },
    h("header", { class: "row spread" }, h("h2", {}, title), close),
    ...content,
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** The key map of a mode, drawn from the table that the page acts by. */
export function helpDialog(mode) {
  const dialog = open(t("keysTitle"), [h("div", { class: "key-groups" }, ...helpFor(mode))], "help");
  dialog.addEventListener("keydown", (event) => event.key === "?" && dialog.close());
}

/** The study's guidelines; the server has cleaned this markup. With their page's address, a link to the examples. */
export function guidelinesDialog({ guidelines, urls: { guidelines: url } }) {
  const text = h("div", { class: "prose" });
  text.innerHTML = guidelines;
  const link = url && h("a", { class: "button small", href: url, target: "_blank" }, t("withExamples"));
  open(t("guidelines"), [text, ...(link ? [link] : [])], "guidelines");
}

/** Asks for a flag by digit or click.
 * @param {{flag: string|null, letter: string|null, onFlag: (flag: string|null, letter: string|null) => void}} options
 *   letter: the image in view, where the flag may be for it or for the whole item; flagOf: letter or null => flag */
export function flagDialog({ letter, flagOf, onFlag }) {
  let target = letter;
  const choices = [...FLAGS, null];
  const choose = (flag) => {
    dialog.close();
    if (flag !== flagOf(target)) onFlag(flag, target);
  };
  const options = choices.map((flag, index) =>
    h(
      "button",
      { type: "button", class: "button choice", onclick: () => choose(flag) },
      caps(String(flag ? index + 1 : 0)),
      t(`flag_${flag ?? "none"}`),
    ),
  );
  const mark = () =>
    options.forEach((option, index) => option.setAttribute("aria-pressed", choices[index] === flagOf(target)));
  const dialog = open(
    t("flagQuestion"),
    [
      letter &&
        scopeButtons(letter, (scope) => {
          target = scope;
          mark();
        }),
      h("div", { class: "choices" }, ...options),
    ].filter(Boolean),
    "flags",
  );
  dialog.addEventListener("keydown", (event) => {
    const digit = digitOf(event);
    if (digit === null || digit > FLAGS.length) return;
    event.preventDefault();
    choose(digit ? FLAGS[digit - 1] : null);
  });
  mark();
}

function scopeButtons(letter, onScope) {
  const scopes = [
    [t("flagImage", { letter }), letter],
    [t("flagItem"), null],
  ];
  const buttons = scopes.map(([text, scope]) =>
    h(
      "button",
      {
        type: "button",
        class: "button small",
        "aria-pressed": scope === letter,
        onclick: (event) => choose(event.currentTarget, scope),
      },
      text,
    ),
  );
  const choose = (button, scope) => {
    for (const one of buttons) one.setAttribute("aria-pressed", one === button);
    onScope(scope);
  };
  return h("p", { class: "row" }, t("flagFor"), h("span", { class: "segmented" }, ...buttons));
}
