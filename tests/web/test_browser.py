"""The page in Debian's Chromium: a person joins, labels by keyboard and by mouse, and is heard by a screen reader."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rewardtree.preferences.labelling import Labelling
from rewardtree.web import serving

from .conftest import PASSWORD, SCRIPT, fill, passage, picture

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; on Debian, apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SETTLED = 350
"""Milliseconds after which an answer counts; see app.js."""

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = running.chromium.launch(executable_path=CHROMIUM, args=options)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, labelling: Labelling) -> Iterator[Open]:
    """Opens the page for one person at this machine, or as an invited one; no script may fail in it."""
    failures: list[str] = []
    contexts: list[Any] = []

    def go(url: str, size: dict[str, int] = DESKTOP, scheme: str = "light", **more: Any) -> Any:
        context = browser.new_context(viewport=size, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda said: failures.append(said.text) if "Content Security" in said.text else None)
        home = "/".join(url.split("/")[:3]) + "/"
        page.on("request", lambda asked: failures.append(asked.url) if not asked.url.startswith(home) else None)
        page.on("dialog", lambda dialog: failures.append("a script ran"))
        page.goto(url)
        return page

    yield go
    for context in contexts:
        context.close()
    assert failures == []


@pytest.fixture
def local(labelling: Labelling) -> Iterator[str]:
    with serving(labelling, title="Chip floorplans", open_as="me") as address:
        yield address


def given(labelling: Labelling) -> list[Any]:
    return [answer for answer in labelling.records().answers if not answer.withdrawn]


def answer_by(page: Any, act: Callable[[], None]) -> None:
    """Answers, and waits for the next comparison."""
    token = page.locator("#answer [name=token]").get_attribute("value")
    page.wait_for_timeout(SETTLED)
    act()
    page.wait_for_selector(f'#work:not(:has([name=token][value="{token}"]))')


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id"))


def test_a_person_joins_labels_undoes_and_signs_out(path: Path, url: str, labelling: Labelling, opened: Open) -> None:
    fill(path, 11, budget=2)
    page = opened(f"{url}/join/{labelling.invite()}")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer")

    # by keyboard: an instrument till the meter refuses, a claim, an answer
    page.keyboard.press("q")
    page.wait_for_selector("#read-a")
    page.keyboard.press("a")
    assert focused(page) == "board-a"
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    page.wait_for_selector("#announcer:text-is('row 3, column 2')")
    page.keyboard.press("Enter")
    page.wait_for_selector("#meter:has-text('1 of 2')")
    assert "Thermometer at row 3, column 2:" in page.locator(".readings").inner_text()
    assert focused(page) == "board-a"
    page.keyboard.press("Enter")
    page.wait_for_selector("#meter:has-text('0 of 2')")
    page.keyboard.press("Enter")
    page.wait_for_selector("#refusal:has-text('The meter is used up')")
    page.keyboard.press("c")
    page.wait_for_selector("#claim-0[aria-expanded=true]")
    page.wait_for_selector("#board-a .claimed.lit")
    page.wait_for_selector("#announcer:has-text('fails first')")
    answer_by(page, lambda: page.keyboard.press("2"))
    assert focused(page) == "heading"
    (first,) = given(labelling)
    assert first.readings == 2 and len(first.claims_seen) == 1
    assert first.probability == (0.25 if first.swapped else 0.75)

    # by mouse
    page.get_by_role("button", name="Ammeter").click()
    page.wait_for_selector("#read-b")
    box = page.locator("#board-b").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 5.5 / 16, box["y"] + box["height"] * 2.5 / 16)
    page.wait_for_selector("#board-b .found")
    assert "Ammeter at row 3, column 6:" in page.locator(".readings").inner_text()
    page.locator("#claim-5").click()
    page.wait_for_selector("#claim-5[aria-expanded=true]")
    answer_by(page, lambda: page.get_by_role("button", name="B is better").click())
    for i in range(8):
        key = "134561"[i % 6]
        answer_by(
            page, lambda key=key, i=i: page.keyboard.press(key) if i % 2 else page.locator(f"#answer-{key}").click()
        )
    assert len(given(labelling)) == 10

    # taken back, and given again
    token = page.locator("#answer [name=token]").get_attribute("value")
    page.keyboard.press("u")
    page.wait_for_selector(f'#work:not(:has([name=token][value="{token}"]))')
    assert len(given(labelling)) == 9 and "9 answered" in page.locator(".progress").inner_text()
    answer_by(page, lambda: page.keyboard.press("5"))
    assert len(given(labelling)) == 10

    page.locator(".who summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto(url)
    assert page.url.endswith("/sign-in")
    assert len({answer.comparison for answer in given(labelling)}) == 10


def test_what_is_written_does_not_vote_and_is_kept(path: Path, local: str, labelling: Labelling, opened: Open) -> None:
    fill(path, 2)
    page = opened(local)
    page.wait_for_timeout(SETTLED)
    page.keyboard.press("n")
    page.keyboard.type("1 is hot, 2 is not; u? c!")
    page.wait_for_selector("#draft-state:text-is('kept')")
    assert given(labelling) == [] and page.locator(".claim.opened").count() == 0
    page.locator("#tool-1").click()
    page.wait_for_selector("#read-a")
    assert page.locator("#rationale").input_value() == "1 is hot, 2 is not; u? c!"
    page.reload()
    assert page.locator("#rationale").input_value() == "1 is hot, 2 is not; u? c!"
    page.locator("#rationale").fill("gone")
    page.goto(f"{local}/pause")  # before the half second is over
    page.get_by_role("link", name="Go on").click()
    assert page.locator("#rationale").input_value() == "gone"
    page.locator("#rationale").press("Escape")
    answer_by(page, lambda: page.keyboard.press("3"))
    assert given(labelling)[0].rationale == "gone"
    assert page.locator("#rationale").input_value() == ""


def test_the_console_stays_free_of_errors(path: Path, local: str, labelling: Labelling, opened: Open) -> None:
    fill(path, 3)
    page = opened(local)
    said: list[str] = []
    page.on("console", lambda word: said.append(word.text) if word.type in ("error", "warning") else None)
    page.reload()
    page.keyboard.press("q")
    page.wait_for_selector("#read-a")
    for left in (1, 0, 0):
        page.locator("#read-a button").click()
        page.wait_for_selector(f"#meter:has-text('{left} of 2')")
    page.wait_for_selector("#refusal:has-text('The meter is used up')")
    page.keyboard.press("c")
    page.wait_for_selector(".claim.opened")
    page.locator("#rationale").fill("cooler")
    page.wait_for_selector("#draft-state:text-is('kept')")
    page.evaluate("document.querySelector('#rationale').style.height = '9rem'")  # as drawing at its corner does
    answer_by(page, lambda: page.locator("#answer-1").click())
    assert page.locator("#rationale").get_attribute("style") is None
    answer_by(page, lambda: page.keyboard.press("2"))
    token = page.locator("#answer [name=token]").get_attribute("value")
    page.keyboard.press("u")
    page.wait_for_selector(f'#work:not(:has([name=token][value="{token}"]))')
    for where in ("quality", "help", "pause"):
        page.goto(f"{local}/{where}")
    assert said == []


def test_a_double_click_answers_once(path: Path, local: str, labelling: Labelling, opened: Open) -> None:
    fill(path, 3)
    page = opened(local)
    answer_by(page, lambda: page.locator("#answer-1").dblclick())
    page.keyboard.press("1")
    page.keyboard.press("1")
    page.wait_for_timeout(SETTLED)
    assert len(given(labelling)) == 1


def test_what_goes_wrong_is_said_and_can_be_tried_again(
    path: Path, local: str, labelling: Labelling, opened: Open
) -> None:
    fill(path, 2)
    page = opened(local)
    page.wait_for_timeout(SETTLED)
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.wait_for_selector("#problem:has-text('cannot be reached')")
    page.context.set_offline(False)
    page.evaluate("document.querySelector('#answer [name=csrf]').value = 'old'")
    page.keyboard.press("1")
    page.wait_for_selector("#problem:has-text('out of date')")
    assert given(labelling) == []
    page.reload()
    answer_by(page, lambda: page.keyboard.press("1"))
    assert len(given(labelling)) == 1


def test_single_keys_can_be_turned_off(path: Path, local: str, labelling: Labelling, opened: Open) -> None:
    fill(path, 1)
    page = opened(local)
    page.wait_for_timeout(SETTLED)
    page.keyboard.press("?")
    page.locator("#help .keys-switch").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.wait_for_timeout(200)
    assert given(labelling) == []


def test_keys_can_be_chosen(path: Path, local: str, labelling: Labelling, opened: Open) -> None:
    fill(path, 3)
    page = opened(local)
    page.keyboard.press("?")
    page.get_by_text("Choose keys of your own").click()
    for key, what in (("x", "answer A"), (";", "next claim"), ("1", "note")):
        page.get_by_label(what, exact=True).press(key)
        assert page.get_by_label(what, exact=True).input_value() == key.upper()
    for key, why in (("q", "Q is taken: instrument 1"), ("?", "? is taken"), (" ", "Space is taken")):
        page.get_by_label("undo", exact=True).press(key)
        page.wait_for_selector(f"#help .own-said:has-text('{why}')")
        assert page.get_by_label("undo", exact=True).input_value() == "U"
        assert page.get_by_label("undo", exact=True).get_attribute("aria-invalid") == "true"
    assert page.locator("#help .keys kbd").all_inner_texts()[:2] == ["X", "2"]
    page.keyboard.press("Escape")

    def count() -> int:
        return len(given(labelling))

    for again in (False, True):
        if again:
            page.reload()
        assert page.locator("#answer-1 kbd").inner_text() == "X"
        assert page.locator("#answer-1").get_attribute("aria-keyshortcuts") == "x"
        before = count()
        page.keyboard.press("1")
        assert focused(page) == "rationale"
        page.keyboard.press("Escape")
        page.keyboard.press(";")
        page.wait_for_selector(".claim.opened")
        answer_by(page, lambda: page.keyboard.press("x"))
        assert count() == before + 1
        assert page.locator("#answer-1 kbd").inner_text() == "X"  # on what has just come too
    page.keyboard.press("?")
    page.get_by_text("Choose keys of your own").click()
    page.get_by_role("button", name="As they were").click()
    assert page.locator("#help .keys kbd").all_inner_texts()[:2] == ["1", "2"]
    page.keyboard.press("Escape")
    page.wait_for_timeout(SETTLED)
    page.keyboard.press("1")
    page.wait_for_selector(".empty")
    assert count() == 3


def test_waiting_ends_by_itself(path: Path, local: str, opened: Open) -> None:
    page = opened(local)
    page.wait_for_selector(".empty")
    fill(path, 1, make=passage)
    page.wait_for_selector("#answer")
    assert focused(page) == "heading" and page.title().startswith("Which layout")


def test_judge_reveal_revise(path: Path, local: str, labelling: Labelling, opened: Open) -> None:
    fill(path, 1, mode="revise")
    page = opened(local)
    assert page.locator(".claim").count() == 0
    page.wait_for_timeout(SETTLED)
    page.keyboard.press("4")
    page.wait_for_selector(".claim")
    assert "Your first answer, Slightly B, is stored" in page.locator(".asked").inner_text()
    page.wait_for_timeout(SETTLED)
    page.keyboard.press("Shift+C")
    page.wait_for_selector("#claim-5[aria-expanded=true]")
    page.keyboard.press("1")
    page.wait_for_selector(".empty")
    assert [answer.condition for answer in given(labelling)] == ["unaided", "revised"]


def test_scripts_of_others_do_not_run(path: Path, local: str, opened: Open) -> None:
    import dataclasses

    def side(seed: int) -> Any:
        said = passage(seed) if seed % 2 else picture(seed)
        data = said.board.data.replace("</svg>", f"{SCRIPT}</svg>") if seed % 2 == 0 else SCRIPT + said.board.data
        return dataclasses.replace(said, board=dataclasses.replace(said.board, data=data, alt=SCRIPT))

    fill(path, 1, make=side)
    page = opened(local)
    page.keyboard.press("Shift+C")
    page.wait_for_selector(".claim.opened")
    assert SCRIPT in page.locator(".passage").inner_text()
    where = page.locator(".board img").get_attribute("src")
    page.goto(local + where)  # by itself
    page.wait_for_timeout(100)


def test_texts_and_clips_are_read(path: Path, local: str, labelling: Labelling, opened: Open) -> None:
    fill(path, 1, kind="text")
    fill(path, 1, kind="clip", run="chip/clips")
    page = opened(local)
    for _ in range(2):
        clips = page.locator("video").count() > 0
        page.keyboard.press("q")
        page.wait_for_selector("#read-a")
        page.keyboard.press("a")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.wait_for_selector(".times text" if clips else ".passage .value")
        if clips:
            box = page.locator("#board-b").bounding_box()
            page.mouse.click(box["x"] + box["width"] * 5.5 / 6, box["y"] + 5)
        else:
            page.locator('#board-b [data-place="2"]').last.click()
        page.wait_for_selector("#meter:has-text('0 of 2')")
        page.keyboard.press("c")
        page.wait_for_selector("[data-mark].lit")
        if not clips:
            answer_by(page, lambda: page.keyboard.press("6"))
    assert [answer.readings for answer in given(labelling)] == [2]


def until(page: Any, true: str) -> None:
    """Waits; Playwright's own way of waiting for a script is one that the page forbids."""
    for _ in range(200):
        if page.evaluate(true):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it did not come true that {true}")


CLIPS = "[...document.querySelectorAll('video.film')].map((one) => [one.currentTime, one.paused, one.playbackRate])"


def test_two_clips_play_in_step_and_pause_by_keyboard(path: Path, local: str, opened: Open) -> None:
    fill(path, 1, kind="clip", budget=4)
    page = opened(local)
    until(page, "document.querySelector('#clip-b').currentTime > 0.3")
    (first, paused, _), (second, _, _) = page.evaluate(CLIPS)
    assert not paused and abs(first - second) < 0.25, "in step"
    assert page.locator("video[controls]").count() == 0 and page.locator(".timeline .now").count() == 2
    page.keyboard.press("k")
    page.wait_for_selector("#play:has-text('Play')")
    held = page.evaluate(CLIPS)
    page.keyboard.press(".")
    until(page, f"document.querySelector('#clip-a').currentTime > {held[0][0]}")
    (now, paused, _), (other, _, _) = page.evaluate(CLIPS)
    assert paused and now == other and now > held[0][0], "a frame on, both"
    page.evaluate("for (const one of document.querySelectorAll('video.film')) one.currentTime = 5.7")
    page.keyboard.press("s")
    page.keyboard.press("k")
    until(page, "document.querySelector('#clip-a').currentTime < 2")
    (now, paused, rate), (other, _, slow) = page.evaluate(CLIPS)
    assert not paused and rate == slow == 0.5 and abs(now - other) < 0.25, "anew, together"
    page.keyboard.press("w")
    page.wait_for_selector("#read-b")
    page.locator("#read-b button").click()
    until(page, "(document.querySelector('#shown-b-1') || {}).currentTime > 0.1")
    assert page.locator("#player").is_visible() and page.locator("video.film[controls]").count() == 0


def test_clips_stand_still_for_who_wants_little_motion(path: Path, local: str, opened: Open) -> None:
    fill(path, 1, kind="clip")
    page = opened(local, size=PHONE, reduced_motion="reduce")
    until(page, "document.querySelector('#clip-b').readyState >= 3")
    page.wait_for_timeout(100)
    assert all(paused for _, paused, _ in page.evaluate(CLIPS)) and "Play" in page.locator("#play").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    boxes = [page.locator(f"#clip-{side}").bounding_box() for side in "ab"]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[1]["x"] > boxes[0]["x"] + boxes[0]["width"], "side by side"


def test_on_a_phone_the_first_tap_chooses_and_everything_fits(path: Path, local: str, opened: Open) -> None:
    fill(path, 1)
    page = opened(local, size=PHONE, has_touch=True)
    page.locator("#tool-1").tap()
    page.wait_for_selector("#read-a")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    tray = page.locator(".tray").bounding_box()
    assert all(box["x"] + box["width"] <= 390 for box in (one.bounding_box() for one in page.locator(".tool").all()))
    assert tray["height"] < 120
    bars = [page.locator(f"#answer-{i}").bounding_box() for i in range(1, 7)]
    assert all(bar["x"] >= 0 and bar["x"] + bar["width"] <= 390 and bar["height"] >= 44 for bar in bars)
    box = page.locator("#board-a").bounding_box()
    at = box["x"] + box["width"] * 2.5 / 16, box["y"] + box["height"] * 4.5 / 16
    page.touchscreen.tap(*at)
    page.wait_for_selector("#announcer:has-text('Tap again')")
    assert page.locator(".readings").count() == 0
    page.touchscreen.tap(*at)
    page.wait_for_selector(".readings:has-text('row 5, column 3')")
    for where in ("", "quality", "help", "pause"):
        page.goto(f"{local}/{where}")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, where


def in_view(page: Any, selector: str, above: float) -> bool:
    """Whether everything that is meant is between the instruments and the answers."""
    boxes = [found.bounding_box() for found in page.locator(selector).all()]
    return bool(boxes) and all(box["y"] >= 0 and box["y"] + box["height"] <= above for box in boxes)


def test_boards_claims_and_answers_are_in_view_together(path: Path, local: str, opened: Open) -> None:
    fill(path, 1)
    page = opened(local)
    page.keyboard.press("q")
    page.wait_for_selector("#read-a")
    page.keyboard.press("Shift+C")
    page.wait_for_selector("#claim-5[aria-expanded=true]")
    assert page.evaluate("scrollY") == 0
    answers = page.locator("#answer-1").bounding_box()["y"]
    assert in_view(page, ".board", answers) and in_view(page, ".claim", answers) and answers < DESKTOP["height"]
    page.set_viewport_size(PHONE)
    page.locator("#claim-5").scroll_into_view_if_needed()
    tray = page.locator(".tray").bounding_box()
    board, claim = (page.locator(each).bounding_box() for each in ("#board-b", "#claim-5"))
    assert tray["y"] == 0 and board["y"] >= tray["height"] - 4 and claim["y"] >= board["y"] + board["height"]


def test_what_counts_is_open_at_first_and_as_it_was_left_then(path: Path, local: str, opened: Open) -> None:
    fill(path, 3, guide="Better is the layout that loses fewer points in all. " * 6)
    page = opened(local)
    assert page.locator("#guide[open]").count() == 1
    answer_by(page, lambda: page.keyboard.press("1"))
    assert page.locator("#guide[open]").count() == 0
    page.locator("#guide summary").click()
    answer_by(page, lambda: page.keyboard.press("1"))
    assert page.locator("#guide[open]").count() == 1


CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""All that depends on the colours."""


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(DESKTOP, "light", id="desktop"),
        pytest.param(PHONE, "dark", id="phone", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_no_violation(
    path: Path, url: str, labelling: Labelling, opened: Open, size: dict[str, int], scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    other = "dark" if scheme == "light" else "light"

    def check(page: Any, what: str) -> None:
        """Everything in the one scheme, the colours alone in the other."""
        for colours, options in ((other, CONTRAST), (scheme, None)):
            page.emulate_media(color_scheme=colours)
            found = axe.run(page, options=options).response["violations"]
            told = [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]
            assert not found, (what, colours, told)

    fill(path, 1, view="verdicts")
    fill(path, 1, kind="text", run="chip/texts")
    fill(path, 1, kind="clip", mode="revise", run="chip/clips")
    page = opened(url, size, scheme)
    check(page, "sign in")
    page.goto(f"{url}/join/{labelling.invite('researcher')}")
    check(page, "join")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/quality")  # a researcher sees figures first, and takes no comparison by joining
    page.goto(url)
    page.wait_for_selector("#answer")
    check(page, "comparison")
    for _ in range(4):
        page.wait_for_selector("#answer")
        page.wait_for_timeout(SETTLED)
        if not page.locator("#read-a").count():
            page.keyboard.press("q")
            page.locator("#read-a button").click()
            page.wait_for_selector(".readings")
        if page.locator(".claim").count():
            page.keyboard.press("Shift+C")
            page.wait_for_selector(".claim.opened")
            page.keyboard.press("c")
            page.wait_for_selector(".claim.lit")
        page.locator("#report summary").click()
        check(page, "comparison in use")
        page.locator("#answer-3").click()
        page.wait_for_selector("#work:not(:has(.readings)), #work:has(.was)")
    page.wait_for_selector(".empty")
    check(page, "nothing waits")
    page.keyboard.press("?")
    page.get_by_text("Choose keys of your own").click()
    check(page, "help in a dialog")
    for where in ("pause", "quality", "nothing"):
        page.goto(f"{url}/{where}")
        check(page, where)
