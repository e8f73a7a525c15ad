"""One table of keys: by event.code for digits, by the printed letter for the rest."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

SOURCES = Path(__file__).resolve().parents[2] / "static/js/work"
MODES = ["rating", "shelves", "duels", "confirm", "pairwise"]


def action(js: Any, mode: str, **event: Any) -> Any:
    values = {"code": "", "key": "", "shiftKey": False, "ctrlKey": False, "altKey": False, "metaKey": False, **event}
    altgr = values.pop("altgr", False)
    expression = (
        f"m.actionOf({{...x[0], getModifierState: (name) => name === 'AltGraph' && {str(altgr).lower()}}}, x[1])"
    )
    return js("keymap.js", expression, [values, mode])


@pytest.mark.parametrize(
    ("event", "digit"),
    [
        ({"code": "Digit4", "key": "4"}, 4),
        ({"code": "Digit4", "key": "'"}, 4),  # French, without Shift
        ({"code": "Digit4", "key": "4", "shiftKey": True}, 4),  # French, with Shift
        ({"code": "Digit2", "key": "ě"}, 2),  # Czech
        ({"code": "Numpad5", "key": "5"}, 5),
    ],
)
def test_digits_go_by_the_place_of_the_key(js: Any, event: dict[str, Any], digit: int) -> None:
    assert action(js, "rating", **event) == {"action": "digit", "digit": digit}


def test_a_number_pad_without_num_lock_sends_arrows(js: Any) -> None:
    assert action(js, "confirm", code="Numpad4", key="ArrowLeft") == {"action": "before"}


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"code": "KeyW", "key": "w"}, "wipe"),
        ({"code": "KeyZ", "key": "w"}, "wipe"),  # French: W lies where Z lies elsewhere
        ({"code": "KeyW", "key": "z"}, "zoom"),
        ({"code": "KeyW", "key": "ц"}, "wipe"),  # Russian: no Latin letter, so the place counts
        ({"code": "KeyW", "key": "W", "shiftKey": True}, "wipe"),
        ({"code": "KeyD", "key": "D", "shiftKey": True}, "allowDifference"),
        ({"code": "Minus", "key": "?", "shiftKey": True}, "help"),  # German
        ({"code": "Slash", "key": "?", "shiftKey": True}, "help"),
        ({"code": "BracketRight", "key": "+"}, "zoomIn"),  # German
        ({"code": "Equal", "key": "+", "shiftKey": True}, "zoomIn"),
        ({"code": "Space", "key": " "}, "hold"),
    ],
)
def test_letters_and_signs_go_by_what_is_printed(js: Any, event: dict[str, Any], name: str) -> None:
    assert action(js, "rating", **event) == {"action": name}


@pytest.mark.parametrize("held", [{"ctrlKey": True}, {"metaKey": True}, {"altgr": True}, {"altKey": True}])
def test_combinations_of_the_system_are_left_alone(js: Any, held: dict[str, bool]) -> None:
    assert action(js, "rating", code="KeyW", key="w", **held) is None
    assert action(js, "rating", code="Digit3", key="3", **held) is None


def test_arrows_move_pictures_or_answer_but_never_both(js: Any) -> None:
    left = {"code": "ArrowLeft", "key": "ArrowLeft"}
    assert action(js, "rating", **left) == {"action": "panLeft"}
    assert action(js, "rating", **left, shiftKey=True) == {"action": "down"}
    assert action(js, "duels", **left) == {"action": "left"}
    assert action(js, "duels", **left, shiftKey=True) == {"action": "panLeft"}
    assert action(js, "confirm", **left) == {"action": "before"}
    assert action(js, "confirm", **left, altKey=True) == {"action": "better"}


@pytest.mark.parametrize("mode", MODES)
def test_no_key_has_two_meanings_in_a_mode(js: Any, mode: str) -> None:
    lines = js("keymap.js", f"m.KEYMAP['{mode}'].flatMap(([, lines]) => lines)")
    keys = [key for name, keys, *_ in lines if name not in ("digit", "pan", "native") for key in keys]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("mode", MODES)
def test_the_help_lists_every_key_of_the_mode(js: Any, mode: str) -> None:
    rows = js("keymap.js", f"m.helpFor('{mode}').map((section) => section.querySelectorAll('dt').length)")
    lines = js("keymap.js", f"m.KEYMAP['{mode}'].map(([, lines]) => lines.filter(([, , text]) => text).length)")
    assert rows == lines


def test_every_sentence_that_the_pages_ask_for_exists(js: Any) -> None:
    code = "".join(path.read_text() for path in SOURCES.glob("*.js"))
    wanted = set(re.findall(r'\bt\("(\w+)"', code)) | set(re.findall(r'"(key[A-Z]\w+|group[A-Z]\w+)"', code))
    assert len(wanted) > 100
    for name in sorted(wanted):
        assert js("text.js", f"m.t('{name}')"), name


def test_a_page_may_bring_translations(module_page: Page) -> None:
    code = """async () => {
      const script = Object.assign(document.createElement('script'), { type: 'application/json', id: 'catalog' });
      script.textContent = JSON.stringify({ 'Shelf {shelf}': 'Regal {shelf}' });
      document.body.append(script);
      const m = await import('/static/js/work/text.js?translated');
      const found = [m.t('shelf', { shelf: 4 }), m.t('undo')];
      script.remove();
      return found;
    }"""
    assert module_page.evaluate(code) == ["Regal 4", "Undo"]
