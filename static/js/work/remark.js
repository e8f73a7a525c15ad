/* The remark field: keys in it are text, and what was typed is recorded when typing pauses or the field is left. */
import { h } from "./dom.js";
import { caps } from "./keymap.js";
import { t } from "./text.js";

const TYPING_PAUSE = 1_000;
const LONGEST = 2_000;

export class RemarkField {
  constructor(onText) {
    this.onText = onText;
    this.recorded = "";
    this.input = h("input", {
      type: "text",
      id: "remark",
      maxlength: LONGEST,
      placeholder: t("remarkHint"),
      autocomplete: "off",
    });
    this.input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.flush(), TYPING_PAUSE);
    });
    this.input.addEventListener("blur", () => this.flush());
    this.element = h(
      "div",
      { class: "remark" },
      h("label", { for: "remark" }, t("remark"), " ", caps("N")),
      this.input,
    );
  }

  /** Shows the remark in force, unless one is being typed. */
  show(text) {
    this.recorded = text;
    if (document.activeElement !== this.input) this.input.value = text;
  }

  /** Records what was typed since the last time. */
  flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const text = this.input.value.trim();
    if (text === this.recorded) return;
    this.recorded = text;
    this.onText(text);
  }

  focus() {
    this.input.focus();
  }
}
