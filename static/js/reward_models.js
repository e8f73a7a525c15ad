/* The form of a training: another preset says what each empty field stands for. Nothing that was typed is changed. */
const presets = JSON.parse(document.getElementById("presets").textContent);
const preset = document.querySelector("[name=preset]");

function show() {
  const values = presets[preset.value] ?? {};
  for (const field of document.querySelectorAll("[data-setting]")) {
    const value = values[field.dataset.setting];
    if (value === undefined) continue;
    if (field.tagName === "SELECT") field.options[0].textContent = field.options[0].textContent.replace(/:.*/, `: ${value}`);
    else field.placeholder = value;
  }
}

preset.addEventListener("change", show);
show(); // the browser may have kept another choice than the page was made with
