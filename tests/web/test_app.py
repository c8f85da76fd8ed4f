"""The page as a browser without JavaScript and a program use it, over a real store and a real server."""

import base64
import dataclasses
import hashlib
import html
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

import rewardtree.web
from rewardtree.errors import ConfigError
from rewardtree.preferences import Comparison, comparison_ids, open_store, project
from rewardtree.preferences.labelling import Labelling, open_labelling
from rewardtree.tasks.board import Instrument
from rewardtree.tasks.plain_boards import beneath
from rewardtree.web import serving

from .conftest import KEY, PASSWORD, SCRIPT, Hands, Person, clip, fill, film, passage, picture

People = Callable[..., Person]


def own(labelling: Labelling, name: str) -> Any:
    """What the store knows of a labeller's comparison."""
    work = labelling.next(name)
    assert work is not None
    return work


def answers(labelling: Labelling) -> list[Any]:
    return [answer for answer in labelling.records().answers if not answer.withdrawn]


def test_an_invited_person_joins_and_is_shown_a_comparison(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 2)
    ada = people()
    where = f"/join/{labelling.invite()}"
    ada.get(where)
    assert ada.post(where, name="ada", password=PASSWORD).url.path == "/"
    assert "Which layout is better?" in ada.page.text and "2 of 2" in ada.page.text
    assert [one.name for one in labelling.accounts()] == ["ada"]
    first = ada.field("token")
    ada.get("/")
    assert ada.field("token") == first  # on reload the same one
    assert people("bob").field("token") != first


def test_nobody_joins_by_a_wrong_code_or_a_used_one(path: Path, people: People, labelling: Labelling) -> None:
    code = labelling.invite()
    for where, name, password, status, why in (
        ("wrong", "ada", PASSWORD, 422, "invitation"),
        (code, "ada", "short", 422, "characters"),
        (code, "ada", PASSWORD, 200, "Nothing waits"),
        (code, "bob", PASSWORD, 422, "invitation"),
    ):
        person = people()
        person.get(f"/join/{where}")
        answer = person.post(f"/join/{where}", name=name, password=password)
        assert (answer.status_code, why in answer.text) == (status, True)


def test_sign_in_and_out(path: Path, people: People, labelling: Labelling) -> None:
    labelling.set_password("ada", PASSWORD, "labeller")
    ada = people()
    ada.get("/")
    assert ada.page.url.path == "/sign-in"
    assert ada.post("/sign-in", name="ada", password="wrong one").status_code == 401
    assert "wrong" in ada.page.text and 'value="ada"' in ada.page.text
    assert ada.post("/sign-in", name="ada", password=PASSWORD).url.path == "/"
    assert ada.post("/sign-out").url.path == "/sign-in"
    ada.get("/")
    assert ada.page.url.path == "/sign-in"


def test_a_comparison_without_an_exhibit_is_told_by_its_records(path: Path, people: People) -> None:
    with open_store(path, run=KEY) as store:
        asked = {"first": {"output": "<b>one"}, "second": {"output": "two"}, "people": {"mode": "unaided"}}
        same: dict[str, Any] = {"node": "root", "protocol": "rrm", "question": "Which?", "budget": 0}
        same["policy_versions"] = {}
        (name,) = comparison_ids([asked], run=KEY, **same)
        store.submit([Comparison(id=name, payload=asked, **same)])
    ada = people("ada")
    assert "&lt;b&gt;one" in ada.page.text and "two" in ada.page.text
    assert ada.post("/answer", choice="a").status_code == 200


def test_a_reading_of_the_input_stands_on_both_sides(path: Path, people: People, labelling: Labelling) -> None:
    one = picture(1)
    shared = dataclasses.replace(one, instruments=tuple(dataclasses.replace(i, shared=True) for i in one.instruments))
    fill(path, 1, make=lambda seed: shared)
    ada = people("ada")
    shown = ada.post("/read", side="b", instrument="temperature", place=35)
    (work,) = own(labelling, "ada").readings
    assert shown.text.count(f"Thermometer at row 3, column 4: <b>{work.value:.1f} °C</b>") == 2
    assert ada.http.get(f"/api/work/{ada.field('token')}").json()["left"] == 1


def test_readings_come_off_the_meter_until_it_refuses(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 1)
    ada = people("ada")
    ada.post("/instrument", instrument="temperature")
    assert 'aria-pressed="true"' in ada.page.text and ada.page.text.count("<option value=") == 2 * 256 + 0 * 4
    ada.post("/read", side="a", instrument="temperature", place=35)
    work = own(labelling, "ada")
    value = work.readings[0].value
    assert work.readings[0].side == ("second" if work.swapped else "first")
    assert f"Thermometer at row 3, column 4: <b>{value:.1f} °C</b>" in ada.page.text
    assert "1 of 2" in ada.page.text
    ada.post("/read", side="b", instrument="temperature", place=255)
    assert "nothing to read here" in ada.page.text and "0 of 2" in ada.page.text
    refused = ada.post("/read", side="b", instrument="current", place=1)
    assert refused.status_code == 409 and "The meter is used up" in refused.text
    shown = ada.post("/read", part=True, side="b", instrument="current", place=1)
    assert shown.status_code == 200 and "The meter is used up" in shown.text  # an open page shows it, and goes on
    assert len(own(labelling, "ada").readings) == 2
    for side, instrument, place in (
        ("a", "temperature", 256),
        ("a", "hammer", 0),
        ("c", "current", 0),
        ("a", "current", -1),
    ):
        assert ada.post("/read", part=True, side=side, instrument=instrument, place=place).status_code == 422


def test_what_was_not_read_and_who_made_it_stay_on_the_server(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 1)
    ada = people("ada")
    ada.post("/instrument", instrument="temperature")
    work = own(labelling, "ada")
    pages = ada.page.text
    pages += ada.http.get(f"/board/{work.token}/a").text + ada.http.get(f"/board/{work.token}/b").text
    pages += ada.http.get(f"/api/work/{work.token}").text
    values = [
        f"{value:.{digits}f}"
        for side in (picture(1), picture(2))
        for instrument, digits in zip(side.instruments, (1, 2), strict=True)
        for value in instrument.values
        if value is not None
    ]
    precise = [str(value) for side in (picture(1), picture(2)) for value in side.instruments[0].values if value]
    assert not any(value in pages for value in precise)
    assert not any(value + " °C" in pages for value in values)
    for secret in (
        "secret-version",
        "7f3a",
        "fails first",
        "policy",
        "shadow",
        "original",
        "training",
        "first.",
        work.run + "/",
    ):
        assert secret not in pages, secret


def test_claims_are_told_once_opened_and_that_is_logged(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 1)
    ada = people("ada")
    assert "fails first" not in ada.page.text and ada.page.text.count('aria-expanded="false"') == 6
    ada.post("/claim", claim=4)
    work = own(labelling, "ada")
    assert work.opened == ((1,) if work.swapped else (4,))
    shown = picture(1 if work.swapped else 2)  # B is the first where they are swapped
    assert shown.claims[1].statement in html.unescape(ada.page.text)
    assert "88\N{NO-BREAK SPACE}% reliable when checked" in ada.page.text
    assert shown.claims[0].statement not in ada.page.text
    assert 'class="claim opened lit" data-claim="4"' in ada.page.text
    ada.post("/claim", claim="all")
    assert own(labelling, "ada").opened == (0, 1, 2, 3, 4, 5)
    assert ada.post("/claim", part=True, claim=6).status_code == 422
    ada.post("/answer", choice="tie")
    assert answers(labelling)[0].claims_seen == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("view", "seen", "unseen"),
    [("places", "exposes block b3", "by 0.41"), ("evidence", "by 0.41", "favours"), ("verdicts", "favours", "secret")],
)
def test_views(path: Path, people: People, view: str, seen: str, unseen: str) -> None:
    fill(path, 1, view=view)
    ada = people("ada")
    ada.post("/claim", claim="all")
    assert seen in ada.page.text and unseen not in ada.page.text


def test_verdicts_are_about_a_and_b(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 1, view="verdicts")
    ada = people("ada")
    ada.post("/claim", claim=1)  # heat, whose claims favour the first
    assert f"favours {'B' if own(labelling, 'ada').swapped else 'A'}" in ada.page.text


@pytest.mark.parametrize("swapped", [False, True])
def test_a_and_b_are_told_from_first_and_second(swapped: bool) -> None:
    from rewardtree.web.display import SHOWN, own_choice, own_side, shown_side

    choices = ["first", "slightly_first", "tie", "slightly_second", "second"]
    assert [own_choice(shown, swapped) for shown in SHOWN[:5]] == (choices[::-1] if swapped else choices)
    assert own_choice("cannot_tell", swapped) == "cannot_tell"
    assert own_side("a", swapped) == ("second" if swapped else "first")
    assert [shown_side(own_side(side, swapped), swapped) for side in ("a", "b")] == ["a", "b"]


def test_answers_are_stored_in_the_comparisons_own_order(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 6)
    ada = people("ada")
    expected = []
    for choice, probability in (
        ("a", 1.0), ("slightly_a", 0.75), ("tie", 0.5), ("slightly_b", 0.25), ("b", 0.0), ("cannot_tell", None),
    ):  # fmt: skip
        swapped = own(labelling, "ada").swapped
        ada.post("/answer", choice=choice, rationale="  because\r\nof heat\x07 ")
        expected.append((probability if probability is None or not swapped else 1 - probability, swapped))
    found = answers(labelling)
    assert [(answer.probability, answer.swapped) for answer in found] == expected
    assert {(answer.rationale, answer.condition) for answer in found} == {("because\nof heat", "assisted")}


def test_time_runs_from_when_it_was_first_shown(path: Path, people: People, labelling: Labelling, clock: Hands) -> None:
    fill(path, 1)
    began = time.monotonic()
    ada = people("ada")
    clock.ahead = 100.0
    ada.get("/")
    ada.post("/answer", choice="a")
    assert 100 <= answers(labelling)[0].seconds <= 100 + time.monotonic() - began


def test_a_double_submit_stores_one_answer(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 3)
    ada = people("ada")
    fields = {"token": ada.field("token"), "csrf": ada.field("csrf"), "choice": "b"}
    at_once = threading.Barrier(4)

    def send() -> int:
        with httpx.Client(base_url=ada.url, cookies=ada.http.cookies) as client:
            at_once.wait()
            return client.post("/answer", data=fields, headers={"HX-Request": "true"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert [each.result() for each in [pool.submit(send) for _ in range(4)]] == [200] * 4
    assert len(answers(labelling)) == 1


def test_judge_reveal_revise(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 2, mode="revise")
    ada = people("ada")
    assert ">Helpers say</h3>" not in ada.page.text and "Judge without helpers first" in ada.page.text
    token, csrf = ada.field("token"), ada.field("csrf")
    assert ada.post("/claim", part=True, claim=0).status_code == 422
    ada.post("/answer", choice="slightly_b", stage="answer", rationale="cooler")
    assert ada.field("token") == token and ">Helpers say</h3>" in ada.page.text
    assert "Your first answer, <b>Slightly B</b>," in ada.page.text and ">cooler</textarea>" not in ada.page.text
    # the first button, pressed twice, is no second answer
    again = {"token": token, "csrf": csrf, "choice": "slightly_b", "stage": "answer"}
    ada.http.post("/answer", data=again)
    ada.post("/claim", claim=0)
    swapped = own(labelling, "ada").swapped
    ada.post("/answer", choice="a", stage="revise")
    assert ada.field("token") != token
    first, second = answers(labelling)
    assert (first.condition, second.condition) == ("unaided", "revised")
    assert (first.probability, second.probability) == ((0.75, 0.0) if swapped else (0.25, 1.0))
    assert first.claims_seen == () and len(second.claims_seen) == 1


def test_unaided_shows_no_claims(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 1, mode="unaided")
    ada = people("ada")
    assert ">Helpers say</h3>" not in ada.page.text and "lifetime" not in ada.page.text
    ada.post("/answer", choice="a")
    assert answers(labelling)[0].condition == "unaided"


def test_undo_gives_the_comparison_back(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 3)
    ada = people("ada")
    assert ada.post("/undo").status_code == 409 and "no answer to take back" in ada.page.text
    ada.get("/")
    token = ada.field("token")
    ada.post("/answer", choice="a")
    assert ada.field("token") != token and "<b>1</b> answered" in ada.page.text
    ada.post("/undo")
    assert ada.field("token") == token and answers(labelling) == []
    ada.get("/")
    assert ada.field("token") == token
    ada.post("/answer", choice="b")
    assert len(answers(labelling)) == 1


def test_drafts_and_the_instrument_are_kept(path: Path, people: People) -> None:
    fill(path, 1)
    ada = people("ada")
    assert ada.post("/draft", part=True, rationale="I <think>").status_code == 204
    ada.post("/instrument", instrument="current", rationale="I <think> so")
    ada.get("/")
    assert "I &lt;think&gt; so</textarea>" in ada.page.text and ">Ammeter at</label>" in ada.page.text
    ada.post("/instrument", instrument="current")
    assert ">Ammeter at</label>" not in ada.page.text
    assert ada.post("/instrument", part=True, instrument="hammer").status_code == 422


def test_a_reported_comparison_is_set_aside_until_put_back(path: Path, people: People, labelling: Labelling) -> None:
    (name,) = fill(path, 1)
    ada, eve = people("ada"), people("eve", "researcher")
    assert ada.post("/report", part=True, reason="", text=" ").status_code == 422
    ada.post("/report", reason="Picture or text missing", text=SCRIPT)
    assert "Nothing waits for you" in ada.page.text
    eve.get("/quality")
    assert html.escape(f"Picture or text missing: {SCRIPT}") in eve.page.text and SCRIPT not in eve.page.text
    eve.post("/quality/put-back", comparison=name)
    assert "Nothing is set aside" in eve.page.text
    assert "Which layout" in people("bob").page.text


def test_a_page_that_waits_looks_again(path: Path, people: People) -> None:
    ada = people("ada")
    assert 'hx-trigger="every 5s"' in ada.page.text
    assert ada.http.get("/?elsewhere=0", headers={"HX-Request": "true"}).status_code == 204
    fill(path, 1)
    part = ada.http.get("/", headers={"HX-Request": "true"})
    assert "Which layout" in part.text and "<html" not in part.text


def test_a_page_on_which_nothing_waits_says_what_others_have(
    path: Path, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "RECENT", 0.0)
    fill(path, 1)
    ada, bob = people("ada"), people("bob")
    assert "Other labellers have 1 comparison open." in bob.page.text
    assert 'hx-get="/?elsewhere=1"' in bob.page.text
    look = {"HX-Request": "true"}
    assert bob.http.get("/?elsewhere=1", headers=look).status_code == 204
    ada.post("/answer", choice="a")
    part = bob.http.get("/?elsewhere=1", headers=look)
    assert part.status_code == 200 and "Nothing waits for you" in part.text and "Other labellers" not in part.text


def test_htmx_gets_the_part_that_changes(path: Path, people: People) -> None:
    fill(path, 2)
    ada = people("ada")
    part = ada.post("/instrument", part=True, instrument="temperature")
    assert part.text.lstrip().startswith('<div id="state" data-say="Thermometer: choose a place on A or B."')
    assert "Temperature" not in part.text and "<html" not in part.text
    part = ada.post("/answer", part=True, choice="a")
    assert 'data-fresh="1"' in part.text and 'data-say="Stored."' in part.text


def test_texts_are_marked(path: Path, people: People) -> None:
    fill(path, 1, kind="text")
    ada = people("ada")
    ada.post("/instrument", instrument="support")
    ada.post("/claim", claim=0)
    assert html.escape(SCRIPT) in ada.page.text and SCRIPT not in ada.page.text
    assert (
        '<span class="piece spot claimed lit" data-place="0" data-mark="0">the youngest of the</span>' in ada.page.text
    )
    ada.post("/read", side="a", instrument="support", place=1)
    assert re.search(r'<b class="value">1\.\d0</b>', ada.page.text)


def test_words_are_shown_once_they_were_opened(path: Path, people: People, labelling: Labelling) -> None:
    first, words = passage(1), ("The ship\nwas late.", "<b>Nobody</b> came.")
    lens = Instrument(name="book", label="Open a passage", texts=words, places=((4, "page 4", ()), (9, "page 9", ())))
    board, (lens,) = beneath(first.board, (lens,))
    fill(path, 1, make=lambda seed: dataclasses.replace(first, board=board, instruments=(lens,), claims=()))
    ada = people("ada")
    ada.post("/instrument", instrument="book")
    assert "ship" not in ada.page.text and "Nobody" not in ada.page.text and "page 4" in ada.page.text
    ada.post("/read", side="b", instrument="book", place=9)
    assert "Open a passage at page 9: <q>&lt;b&gt;Nobody&lt;/b&gt; came.</q>" in ada.page.text
    assert "1 of 2" in ada.page.text and "ship" not in ada.page.text and 'class="value"' not in ada.page.text
    (reading,) = own(labelling, "ada").readings
    assert (reading.place, reading.value) == (9, None)
    told = ada.http.get(f"/api/work/{ada.field('token')}").json()
    assert told["b"]["readings"][0]["text"] == words[1] and "ship" not in str(told)
    ada.post("/read", side="a", instrument="book", place=4)
    assert "was late." in ada.page.text
    assert ada.post("/read", side="a", instrument="book", place=9).status_code == 409


def test_pieces_add_up_to_the_text() -> None:
    from rewardtree.web.display import Panel, Spot
    from rewardtree.web.marking import pieces

    text = "one two three"
    spots = (Spot(place=0, label="all", box=(0.0, 99.0)), Spot(place=1, label="two", box=(4.0, 7.0)))
    panel = Panel(
        side="a", kind="text", media_type="text/plain", data=text, width=0.0, height=0.0, alt="", facts=(),
        spots={"x": spots}, claims=(), readings=(),
    )  # fmt: skip
    found = pieces(panel, "x")
    assert [(piece.text, piece.place) for piece in found] == [("one ", 0), ("two", 1), (" three", 0)]
    assert "".join(piece.text for piece in pieces(panel, None)) == text


def test_clips_come_in_ranges(path: Path, people: People) -> None:
    fill(path, 1, kind="clip")
    ada = people("ada")
    where = f"/board/{ada.field('token')}/a"
    whole = ada.http.get(where)
    size = len(whole.content)
    assert (whole.status_code, size > 2000, whole.headers["content-type"]) == (200, True, "video/webm")
    for asked, part, told in (
        ("bytes=10-19", whole.content[10:20], f"bytes 10-19/{size}"),
        ("bytes=2000-", whole.content[2000:], f"bytes 2000-{size - 1}/{size}"),
        ("bytes=-5", whole.content[-5:], f"bytes {size - 5}-{size - 1}/{size}"),
    ):
        answer = ada.http.get(where, headers={"Range": asked})
        assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, part, told)
    assert ada.http.get(where, headers={"Range": f"bytes={size}-"}).status_code == 416
    ada.post("/instrument", instrument="speed")
    assert 'data-box="3 0 1 1"' in ada.page.text and 'data-box="0 0 6.0 1"' in ada.page.text
    assert clip(1).board.alt in ada.page.text
    drawn = ada.http.get(f"{where}/plot")
    assert drawn.text == clip(1).board.plot and "sandbox" in drawn.headers["content-security-policy"]
    assert people("bob").http.get(f"{where}/plot").status_code == 404, "ada's is not bob's"


def test_a_picture_has_no_time_line(path: Path, people: People) -> None:
    fill(path, 1)
    ada = people("ada")
    assert ada.http.get(f"/board/{ada.field('token')}/a").status_code == 200
    assert ada.http.get(f"/board/{ada.field('token')}/a/plot").status_code == 404


def test_what_an_instrument_shows_is_served_once_it_was_read(path: Path, people: People) -> None:
    fill(path, 1, kind="clip", budget=3)
    ada = people("ada")
    where = f"/shown/{ada.field('token')}"
    ada.post("/instrument", instrument="slow")
    assert ada.http.get(f"{where}/1").status_code == 404, "nothing was read"
    for side, place in (("b", 0), ("b", 1), ("a", 0)):
        ada.post("/read", side=side, instrument="slow", place=place)
    found = [ada.http.get(f"{where}/{number}") for number in (1, 2, 3, 4)]
    assert [one.status_code for one in found] == [200, 404, 200, 404], "there is no second half in slow motion"
    assert found[0].content == base64.b64decode(film(20)) and found[0].headers["content-type"] == "video/webm"
    assert f'id="shown-b-1" src="{where}/1"' in ada.page.text and "nothing to read here" in ada.page.text
    assert people("bob").http.get(f"{where}/1").status_code == 404
    token = ada.labelling.open_session("ada", "labeller")[0]
    told = ada.http.post("/api/next", headers={"Authorization": f"Bearer {token}"}).json()["work"]
    reading = told["b"]["readings"][0]
    assert (reading["value"], reading["text"]) == (None, "shown") and told["b"]["readings"][1]["shown"] is None
    for address, kind in ((reading["shown"], "video/webm"), (told["a"]["plot"], "image/svg+xml")):
        answer = ada.http.get(address, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)


def test_researchers_see_everything_and_invite(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 4)
    ada, eve = people("ada"), people("eve", "researcher")
    ada.post("/answer", choice="a", rationale="heat")
    assert "Quality" not in ada.page.text and ">Quality</a>" in eve.get("/")
    eve.get("/quality")
    assert '<th scope="row">ada' in eve.page.text and "Krippendorff" in eve.page.text
    part = eve.http.get("/quality", headers={"HX-Request": "true"}).text
    assert "Krippendorff" in part and "<html" not in part and "Make an invitation" not in part
    eve.post("/quality/invite", role="labeller", uses=2, days=1)
    link = re.search(r'id="link">([^<]*)<', eve.page.text)
    assert link is not None and link[1].startswith(eve.url + "/join/")
    bob = people()
    bob.get(link[1].removeprefix(eve.url))
    assert bob.post(str(bob.page.url.path), name="bob", password=PASSWORD).url.path == "/"
    lines = eve.http.get("/quality/answers.jsonl").text.splitlines()
    assert [orjson.loads(line)["rationale"] for line in lines] == ["heat"]
    assert eve.http.get("/quality/quality.json").json()["answers"] == 1
    eve.get("/quality")
    eve.post("/quality/deactivate", name="ada")
    assert "deactivated" in eve.page.text
    ada.get("/")
    assert ada.page.url.path == "/sign-in"
    assert eve.post("/quality/deactivate", name="eve").status_code == 422


def test_htmx_is_the_version_that_is_pinned() -> None:
    """As `npm pack htmx.org@4.0.1` has it."""
    file = Path(rewardtree.web.__file__).parent / "static" / "htmx.min.js"
    pinned = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == pinned


def test_pause_and_help(path: Path, people: People) -> None:
    fill(path, 1)
    ada = people("ada")
    assert "Paused" in ada.get("/pause") and "Which layout" not in ada.page.text
    assert "is kept for you for 15 minutes;" in ada.page.text
    assert "take the last answer back" in ada.get("/help")


def test_pause_says_how_long_a_comparison_is_kept(path: Path) -> None:
    labelling = open_labelling(path, KEY, lease_seconds=60.0)
    with serving(labelling, title="t", open_as="me") as url, httpx.Client(base_url=url, follow_redirects=True) as http:
        http.get("/")
        assert "is kept for you for 1 minute;" in http.get("/pause").text
    labelling.close()


def test_one_person_at_this_machine_needs_no_account(path: Path, labelling: Labelling) -> None:
    fill(path, 1)
    with serving(labelling, title="t", open_as="me") as url, httpx.Client(base_url=url, follow_redirects=True) as http:
        page = http.get("/")
        assert "Which layout" in page.text and "Sign out" not in page.text
        assert "Quality of the labels" in http.get("/quality").text
        field = re.search('name="csrf" value="([^"]*)"', page.text)
        token = re.search('name="token" value="([^"]*)"', page.text)
        assert field and token
        bare = {"token": token[1], "choice": "a"}
        assert http.post("/answer", data=bare).status_code == 403
        assert httpx.post(url + "/answer", data=bare | {"csrf": field[1]}).status_code == 401
        assert http.post("/answer", data=bare | {"csrf": field[1]}).status_code == 200
    assert len(answers(labelling)) == 1
    with (
        pytest.raises(ConfigError, match="must not be open to others"),
        serving(labelling, "0.0.0.0", title="t", open_as="me"),
    ):
        pass


def test_one_person_at_this_machine_is_told_when_their_account_is_locked(path: Path, labelling: Labelling) -> None:
    fill(path, 1)
    with serving(labelling, title="t", open_as="me") as url, httpx.Client(base_url=url, follow_redirects=True) as http:
        assert http.get("/").status_code == 200
        assert labelling.deactivate("me")
        for where in ("/", "/sign-in", "/quality"):
            refused = http.get(where)
            assert refused.status_code == 403 and "may no longer sign in" in refused.text, where
    labelling.set_password("ada", PASSWORD, "labeller")
    with serving(labelling, title="t", open_as="ada") as url, httpx.Client(base_url=url, follow_redirects=True) as http:
        refused = http.get("/")
        assert refused.status_code == 403 and "--open is for a researcher" in refused.text
    assert [(one.name, one.role, one.active) for one in labelling.accounts()] == [
        ("ada", "labeller", True),
        ("me", "researcher", False),
    ]


def test_a_taken_port_is_said_so(labelling: Labelling) -> None:
    with serving(labelling, title="t") as url:
        port = int(url.rpartition(":")[2])
        with (
            pytest.raises(ConfigError, match=rf"port {port}: address already in use; choose another"),
            serving(labelling, port=port, title="t"),
        ):
            pass


# --- the JSON interface ---


@pytest.fixture
def api(url: str, labelling: Labelling) -> Any:
    """A program that has signed in."""
    labelling.set_password("ada", PASSWORD, "labeller")
    with httpx.Client(base_url=url + "/api") as http:
        token = http.post("/session", json={"name": "ada", "password": PASSWORD})
        assert token.status_code == 201 and token.json()["role"] == "labeller"
        http.headers["Authorization"] = f"Bearer {token.json()['token']}"
        yield http


def test_a_program_labels(path: Path, api: httpx.Client, labelling: Labelling) -> None:
    fill(path, 2)
    work = api.post("/next").json()["work"]
    at = f"/work/{work['token']}"
    assert api.post("/next").json()["work"]["token"] == work["token"]
    assert len(work["a"]["places"]["temperature"]) == 256 and work["left"] == work["budget"] == 2
    assert work["a"]["claims"][0]["statement"] is None
    assert api.get(work["a"]["board"].removeprefix("/api")).headers["content-type"] == "image/svg+xml"
    opened = api.post(f"{at}/claims", json={"claim": 3}).json()
    assert opened["b"]["claims"][0]["statement"].startswith("fails first")
    read = api.post(f"{at}/readings", json={"side": "b", "instrument": "current", "place": 3}).json()
    assert read["left"] == 1 and read["b"]["readings"][0]["at"]["label"] == "row 1, column 4"
    api.post(f"{at}/readings", json={"side": "b", "instrument": "current", "place": 3})
    assert api.post(f"{at}/readings", json={"side": "b", "instrument": "current", "place": 3}).status_code == 409
    assert api.post(f"{at}/readings", json={"side": "b", "instrument": "hammer", "place": 3}).status_code == 404
    assert api.post(f"{at}/claims", json={"claim": 6}).status_code == 404
    assert api.put(f"{at}/draft", json={"rationale": "so"}).status_code == 204
    assert api.get(at).json()["draft"]["rationale"] == "so"
    body = {"choice": "slightly_b", "stage": "answer", "rationale": "heat"}
    assert [api.post(f"{at}/answer", json=body).json() for _ in range(2)] == [{"stored": True}, {"stored": False}]
    assert api.get(at).status_code == 404
    assert api.get("/progress").json() == {"answered": 1, "today": 1, "waiting": 1, "elsewhere": 0}
    assert api.post("/undo").json()["token"] == work["token"]
    assert api.post(f"{at}/report", json={"text": "broken"}).json() == {"stored": True}
    assert api.post("/undo").status_code == 409
    api.post(f"/work/{api.post('/next').json()['work']['token']}/answer", json=body)
    assert api.post("/next").json() == {"work": None}
    assert [answer.readings for answer in answers(labelling)] == [0]
    assert api.delete("/session").status_code == 204
    assert api.get("/progress").status_code == 401


def test_the_interface_is_described(api: httpx.Client, url: str) -> None:
    assert httpx.get(url + "/api/openapi.json").status_code == 401
    described = api.get("/openapi.json").json()
    assert {"/api/session", "/api/next", "/api/work/{token}/answer", "/api/export"} <= set(described["paths"])
    assert described["security"] == [{"bearer": []}]


def test_only_a_researcher_exports(path: Path, people: People, api: httpx.Client, url: str) -> None:
    fill(path, 1)
    assert api.get("/export").status_code == 403
    people("bob").post("/answer", choice="tie")
    eve = people("eve", "researcher")
    assert orjson.loads(eve.http.get("/api/export").text)["labeller"] == "bob"


def test_several_runs_of_a_project_share_the_page(path: Path, people: People) -> None:
    fill(path, 1, run=f"{KEY}/seed1", make=lambda seed: passage(seed))
    fill(path, 1, run="another", make=lambda seed: picture(seed))
    ada = people("ada")
    assert "youngest" in ada.page.text
    ada.post("/answer", choice="a")
    assert "Nothing waits" in ada.page.text
