"""Comparing source and edit: the same place, the same zoom, and a log of what was used."""

from typing import Any

from tests.js.desk import Desk, Start
from tests.js.fake_server import PRESERVATION, QUALITY, FakeServer, assignment, study


def server(
    kind: str = "rating", dimension: dict[str, Any] = PRESERVATION, width: int = 300, height: int = 200, count: int = 2
) -> FakeServer:
    letters = "A" if kind == "rating" else "AB"
    return FakeServer(
        study(kind, dimensions=[dimension]),
        [assignment(f"Item {n}", letters=letters, width=width, height=height) for n in range(count)],
    )


def layers(desk: Desk) -> list[dict[str, float]]:
    """Where the picture lies inside each visible pane."""
    found: list[dict[str, float]] = desk.page.eval_on_selector_all(
        ".pane",
        """panes => panes.filter((pane) => pane.offsetParent).map((pane) => {
          const view = pane.querySelector('.view').getBoundingClientRect();
          const box = pane.querySelector('.layer').getBoundingClientRect();
          return { left: box.left - view.left, top: box.top - view.top, width: box.width, height: box.height };
        })""",
    )
    return found


def seen(desk: Desk) -> str:
    return str(desk.page.get_attribute(".pane[data-role=edit]", "data-shown"))


def used(desk: Desk) -> list[dict[str, Any]]:
    desk.page.wait_for_timeout(2200)
    desk.until("saved")
    return desk.stored("compare")


def test_source_and_edit_have_the_same_size_and_place(start: Start) -> None:
    desk = start(server())
    source, edit = layers(desk)
    assert source == edit
    assert (source["width"], source["height"]) == (300, 200), "one to one"
    first = layers(desk)
    desk.keys("4", "Enter")
    desk.until_instruction("Item 1")
    assert layers(desk) == first, "the same place on every item"


def test_holding_space_shows_the_source_in_the_edits_place(start: Start) -> None:
    desk = start(server())
    before = layers(desk)
    desk.page.keyboard.down("Space")
    assert seen(desk) == "source"
    assert desk.text(".pane[data-role=edit] figcaption") == "Source (held)"
    assert layers(desk) == before
    own = desk.page.evaluate("getComputedStyle(document.querySelector('.pane[data-role=edit] .layer img')).opacity")
    assert own == "0"
    desk.page.keyboard.up("Space")
    assert seen(desk) == "own"
    [event] = used(desk)
    assert event["tool"] == "hold"
    assert event["ms"] >= 0


def test_the_hold_button_works_for_mouse_and_keyboard(start: Start) -> None:
    desk = start(server())
    box = desk.page.locator("text=Hold: source").bounding_box()
    assert box
    desk.page.mouse.move(box["x"] + 5, box["y"] + 5)
    desk.page.mouse.down()
    assert seen(desk) == "source"
    desk.page.mouse.up()
    assert seen(desk) == "own"
    desk.page.focus("text=Hold: source")
    desk.keys("Enter")
    assert seen(desk) == "source"
    desk.keys("Enter")
    assert seen(desk) == "own"


def test_zoom_and_offset_are_shared(start: Start) -> None:
    desk = start(server(width=1024, height=1024))
    fitted = layers(desk)
    desk.keys("z", "ArrowRight", "ArrowDown", "l")
    source, edit = layers(desk)
    assert source == edit
    assert source["width"] == 1024
    assert source["left"] < fitted[0]["left"]
    desk.page.keyboard.down("Space")
    assert layers(desk) == [source, edit]
    desk.page.keyboard.up("Space")
    desk.keys("+")
    assert layers(desk)[0]["width"] == 1280
    desk.keys("-", "-", "-", "-", "-", "-", "-")
    assert layers(desk) == fitted


def test_wheel_and_drag_zoom_and_move(start: Start) -> None:
    desk = start(server(width=1024, height=1024))
    box = desk.page.locator(".pane[data-role=edit] .view").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    desk.page.mouse.move(x, y)
    desk.page.mouse.wheel(0, -100)
    desk.page.mouse.wheel(0, -100)
    desk.page.wait_for_function("document.querySelector('.panes').classList.contains('zoomed')")
    before = layers(desk)
    desk.page.mouse.down()
    desk.page.mouse.move(x - 30, y - 20, steps=3)
    desk.page.mouse.up()
    after = layers(desk)
    assert after[0] == after[1]
    assert after[0]["left"] == before[0]["left"] - 30


def test_small_pictures_are_enlarged_by_whole_factors(start: Start) -> None:
    desk = start(server(width=64, height=64))
    width = layers(desk)[0]["width"]
    assert width % 64 == 0
    assert width >= 64 * 6
    rendering = desk.page.evaluate("getComputedStyle(document.querySelector('.layer img')).imageRendering")
    assert rendering == "pixelated"
    for _ in range(4):
        desk.keys("+")
        assert layers(desk)[0]["width"] % 64 == 0


def test_the_wipe_is_moved_by_keys_mouse_and_its_handle(start: Start) -> None:
    desk = start(server())
    desk.keys("w")
    handle = desk.page.locator(".wipe-handle:visible")
    assert handle.get_attribute("aria-valuenow") == "50"
    desk.keys("ArrowLeft", "ArrowLeft")
    assert handle.get_attribute("aria-valuenow") == "46"
    handle.focus()
    desk.keys("ArrowRight")
    assert handle.get_attribute("aria-valuenow") == "48"
    view = desk.page.locator(".pane[data-role=edit] .view").bounding_box()
    assert view
    place = layers(desk)[1]
    quarter = place["left"] + place["width"] * 0.25
    desk.page.mouse.click(view["x"] + quarter, view["y"] + 100)
    assert handle.get_attribute("aria-valuenow") == "25"
    clip = desk.page.evaluate(
        "document.querySelector('.pane[data-role=edit] .layer img:not(.off):last-of-type').style.clipPath"
    )
    assert clip == "inset(0px 75% 0px 0px)"
    desk.keys("w")
    assert desk.page.locator(".wipe-handle:visible").count() == 0
    assert [event["tool"] for event in used(desk)] == ["wipe"]


def test_the_difference_goes_through_its_gains(start: Start) -> None:
    desk = start(server())
    captions = []
    for _ in range(4):
        desk.keys("d")
        captions.append(desk.text(".pane[data-role=edit] figcaption"))
    assert captions == ["Edit · Difference ×1", "Edit · Difference ×4", "Edit · Difference ×8", "Edit"]
    desk.keys("d")
    colours = desk.page.evaluate("""() => {
      const canvas = document.querySelector('.pane[data-role=edit] canvas');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const reds = data.filter((_, index) => index % 4 === 0);
      return [canvas.width, canvas.height, new Set(reds).size];
    }""")
    assert colours[:2] == [300, 200]
    assert colours[2] > 1, "the edit differs from the source somewhere"
    assert [event["gain"] for event in used(desk)] == [1, 4, 8, 1]


def test_the_difference_is_off_unless_the_dimension_is_preservation(start: Start) -> None:
    desk = start(server(dimension=QUALITY))
    desk.keys("d")
    assert "off for this dimension" in desk.text("#hint")
    assert desk.text(".pane[data-role=edit] figcaption") == "Edit"
    desk.keys("Shift+D")
    assert desk.text(".pane[data-role=edit] figcaption") == "Edit · Difference ×1"
    assert "recorded" in desk.text("#hint")
    [event] = used(desk)
    assert event["deliberate"] is True
    desk.keys("4", "Enter")
    desk.until_instruction("Item 1")
    desk.keys("d")
    assert desk.text(".pane[data-role=edit] figcaption") == "Edit", "each item anew"


def test_without_a_keyboard_the_difference_takes_two_presses(start: Start) -> None:
    desk = start(server(dimension=QUALITY))
    desk.page.click("button:has-text('Difference')")
    assert "Press again" in desk.text("#hint")
    desk.page.click("button:has-text('Difference')")
    assert desk.text(".pane[data-role=edit] figcaption") == "Edit · Difference ×1"


def test_a_new_item_starts_without_tools(start: Start) -> None:
    desk = start(server(width=1024, height=1024))
    fitted = layers(desk)
    desk.keys("z", "w", "4", "Enter")
    desk.until_instruction("Item 1")
    desk.page.wait_for_function("!document.querySelector('.panes').classList.contains('zoomed')")
    assert layers(desk) == fitted
    assert desk.page.locator(".wipe-handle:visible").count() == 0


def test_the_source_beside_can_be_put_away(start: Start) -> None:
    desk = start(server(width=1024, height=1024))
    narrow = layers(desk)[0]["width"]
    desk.keys("v")
    [edit] = layers(desk)
    assert edit["width"] > narrow
    desk.page.reload()
    desk.drawn()
    assert len(layers(desk)) == 1, "the choice is remembered"


def test_in_a_pair_the_two_edits_can_change_places(start: Start) -> None:
    desk = start(server("pairwise"))
    assert desk.in_view() == "A | Source | B"
    desk.page.keyboard.down("s")
    assert desk.in_view() == "B | Source | A"
    desk.page.keyboard.up("s")
    assert desk.in_view() == "A | Source | B"
    desk.page.keyboard.down("Space")
    assert desk.in_view() == "Source (held) | Source | Source (held)"
    desk.page.keyboard.up("Space")
    assert len({tuple(layer.values()) for layer in layers(desk)}) == 1


def test_letting_go_outside_the_window_ends_the_hold(start: Start) -> None:
    desk = start(server())
    desk.page.keyboard.down("Space")
    desk.page.evaluate("window.dispatchEvent(new Event('blur'))")
    assert seen(desk) == "own"
