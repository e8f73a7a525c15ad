"""Typing numbers on a scale, and which control a scale gets."""

from typing import Any

import pytest

MOS = {"min": 1, "max": 5, "step": 0.1}
HP = {"min": 0, "max": 5, "step": 1}
PERCENT = {"min": 0, "max": 100, "step": 1}

TYPE = """(() => {
  const typed = new m.TypedNumber(x.scale);
  let now = 0;
  let last = null;
  for (const key of x.keys) {
    now += 100;
    if (key === ' ') now += 5000;
    else if (key === '.') typed.point(now);
    else last = typed.digit(Number(key), now);
  }
  return last;
})()"""


@pytest.mark.parametrize(
    ("scale", "keys", "value"),
    [
        (HP, "4", 4),
        (HP, "0", 0),
        (HP, "35", 5),
        (MOS, "3", 3),
        (MOS, "3.7", 3.7),
        (MOS, "3 .7", None),
        (MOS, "3.74", 4),
        (MOS, "5.1", 1),
        (PERCENT, "75", 75),
        (PERCENT, "100", 100),
        (PERCENT, "7 5", 5),
        ({"min": 1, "max": 5, "step": 0.01}, "3.75", 3.75),
    ],
)
def test_digits_give_the_number(js: Any, scale: dict[str, float], keys: str, value: float | None) -> None:
    assert js("scale.js", TYPE, {"scale": scale, "keys": keys}) == value


@pytest.mark.parametrize(("scale", "key"), [(HP, "6"), (MOS, "0"), (MOS, "6")])
def test_a_digit_off_the_scale_is_no_value(js: Any, scale: dict[str, float], key: str) -> None:
    assert js("scale.js", TYPE, {"scale": scale, "keys": key}) is None


def test_few_values_get_buttons_and_continuous_scales_a_slider(js: Any) -> None:
    assert js("scale.js", "x.map(m.hasButtons)", [HP, {"min": 1, "max": 4, "step": 1}, MOS, PERCENT]) == [
        True,
        True,
        False,
        False,
    ]


def test_values_lie_on_the_steps(js: Any) -> None:
    values = js("scale.js", "Array.from({length: 41}, (_, n) => m.onScale(1 + n * 0.1, x))", MOS)
    assert values == [round(1 + n / 10, 1) for n in range(41)]
    assert js("scale.js", "[m.onScale(3.14, x), m.onScale(0.9, x), m.onScale(5.1, x)]", MOS) == [None, None, None]
