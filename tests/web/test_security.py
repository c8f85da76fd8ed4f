"""Attacks on the page. Each gets a clear refusal, and nothing is lost."""

import contextlib
import importlib
import itertools
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from limits import RateLimitItemPerMinute

from rewardtree.preferences.labelling import Labelling
from rewardtree.web import access, guard, serving
from rewardtree.web.guard import LARGEST_BODY

from .conftest import PASSWORD, SCRIPT, Hands, Person, claim, fill, passage, picture

People = Callable[..., Person]
PAGES = (
    "/", "/quality", "/help", "/pause", "/quality/answers.jsonl", "/quality/quality.json", "/board/x/a", "/nothing",
    "/docs", "/redoc", "/openapi.json",
)  # fmt: skip
ACTIONS = (
    "/instrument", "/read", "/claim", "/draft", "/answer", "/report", "/undo", "/sign-out", "/quality/invite",
    "/quality/deactivate", "/quality/put-back",
)  # fmt: skip
API = (
    ("GET", "/api/openapi.json"), ("GET", "/api/progress"), ("POST", "/api/next"), ("POST", "/api/undo"),
    ("GET", "/api/export"), ("GET", "/api/work/x"), ("POST", "/api/work/x/answer"), ("POST", "/api/work/x/readings"),
    ("POST", "/api/work/x/claims"), ("PUT", "/api/work/x/draft"), ("POST", "/api/work/x/report"),
    ("GET", "/api/work/x/boards/a"), ("DELETE", "/api/session"), ("GET", "/api/nothing"),
)  # fmt: skip


def host(url: str) -> str:
    """What a browser calls the server; cookies belong to its port."""
    return url.removeprefix("http://")


def count(labelling: Labelling) -> int:
    return len(labelling.records().answers)


@pytest.mark.parametrize("cookie", ["", "'; DROP TABLE label_session; -- ä"])
def test_nothing_is_told_or_done_without_a_session(path: Path, url: str, labelling: Labelling, cookie: str) -> None:
    fill(path, 1)
    name = f"rewardtree-session-{url.rpartition(':')[2]}"
    with httpx.Client(base_url=url, headers={"Cookie": f"{name}={cookie}".encode("latin-1")} if cookie else {}) as http:
        for where in PAGES:
            answer = http.get(where)
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), where
        for where in ACTIONS:
            answer = http.post(where, data={"csrf": "x", "token": "x", "choice": "a"})
            assert answer.status_code == 401 and "Sign in" in answer.text, where
        for method, where in API:
            answer = http.request(method, where, headers={"Authorization": f"Bearer {'y' * 43}"} if cookie else {})
            assert (answer.status_code, answer.json()) == (401, {"detail": "Sign in first."}), where
    assert count(labelling) == 0


def test_a_forged_or_ended_session_opens_nothing(path: Path, people: People, url: str, labelling: Labelling) -> None:
    ada = people("ada")
    (cookie,) = [each for each in ada.http.cookies.jar if "session" in each.name]
    token = str(cookie.value)
    for forged in (token[:-1] + ("A" if token[-1] != "A" else "B"), token.swapcase(), token + "x", token[::-1]):
        with httpx.Client(base_url=url, cookies={cookie.name: forged}) as http:
            assert http.get("/").headers.get("location") == "/sign-in"
    ada.post("/sign-out")
    with httpx.Client(base_url=url, cookies={cookie.name: token}) as http:
        assert http.get("/").headers.get("location") == "/sign-in"


def test_cookies_are_out_of_reach(path: Path, labelling: Labelling, people: People) -> None:
    ada = people()
    ada.get(f"/join/{labelling.invite()}")
    answer = ada.http.post(
        str(ada.page.url), data={"csrf": ada.field("csrf"), "name": "ada", "password": PASSWORD}, follow_redirects=False
    )
    assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=lax" in answer.headers["set-cookie"]
    assert "Secure" not in answer.headers["set-cookie"]
    with serving(labelling, title="t", secure=True) as url, httpx.Client(base_url=url) as http:
        answer = http.get("/sign-in")
        assert answer.headers["set-cookie"].startswith("__Host-") and "Secure" in answer.headers["set-cookie"]
        assert "Strict-Transport-Security" in answer.headers


def test_every_answer_carries_the_headers(path: Path, people: People, url: str) -> None:
    fill(path, 1)
    ada = people("ada")
    for where in ("/", "/sign-in", "/nothing", "/static/app.css", "/api/progress", "/api/nothing"):
        headers = ada.http.get(where).headers
        assert headers["content-security-policy"] == guard.POLICY, where
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
        if not where.startswith("/static"):
            assert headers["cache-control"] == "no-store"
    board = ada.http.get(f"/board/{ada.field('token')}/a").headers["content-security-policy"]
    assert board.startswith("default-src 'none'; style-src 'unsafe-inline'") and board.endswith("sandbox")
    assert "http" not in ada.get("/").replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_other_sites_pages_can_do_nothing(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 2)
    ada = people("ada")
    fields = {"token": ada.field("token"), "choice": "a"}
    ours = fields | {"csrf": ada.field("csrf")}
    port = ada.url.rpartition(":")[2]
    for sent, headers, why in (
        (fields, {}, "out of date"),
        (fields | {"csrf": "x" * 43}, {}, "out of date"),
        (ours, {"Origin": "https://evil.example"}, "another site"),
        (ours, {"Origin": "null"}, "another site"),
        (ours, {"Origin": "http://127.0.0.1:1"}, "another site"),
        (ours, {"Origin": f"http://127.0.0.1.evil.example:{port}"}, "another site"),
        (ours, {"Sec-Fetch-Site": "cross-site"}, "another site"),
        (ours, {"Sec-Fetch-Site": "same-site"}, "another site"),
    ):
        answer = ada.http.post("/answer", data=sent, headers=headers)
        assert answer.status_code == 403 and why in answer.text, headers
    eve = people("eve")  # a token of somebody else's is none
    assert ada.http.post("/answer", data=fields | {"csrf": eve.field("csrf")}).status_code == 403
    assert ada.http.post("/api/next").status_code == 403  # a cookie alone
    assert ada.http.post("/api/next", headers={"X-CSRF-Token": ada.field("csrf")}).status_code == 200
    assert count(labelling) == 0
    headers = {"Origin": ada.url, "Sec-Fetch-Site": "same-origin"}
    assert ada.http.post("/answer", data=ours, headers=headers).status_code == 200
    assert count(labelling) == 1


def test_signing_in_is_no_other_sites_business(people: People, labelling: Labelling) -> None:
    labelling.set_password("ada", PASSWORD, "labeller")
    ada = people()
    ada.get("/sign-in")
    fields = {"name": "ada", "password": PASSWORD}
    assert ada.http.post("/sign-in", data=fields).status_code == 403
    assert ada.http.post("/sign-in", data=fields | {"csrf": "x" * 43}).status_code == 403
    fields["csrf"] = ada.field("csrf")
    assert httpx.post(ada.url + "/sign-in", data=fields).status_code == 403  # without the other half
    assert ada.http.post("/sign-in", data=fields, headers={"Origin": "https://evil.example"}).status_code == 403
    assert ada.http.post("/sign-in", data=fields).url.path == "/"


@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-Proto": "https"}, {"X-Forwarded-Host": "labels.example"},
        {"Forwarded": "for=203.0.113.9"}, {"Via": "1.1 proxy"}, {"X-Real-IP": "127.0.0.1"}, {"X-Forwarded-For": ""},
    ],
)  # fmt: skip
def test_what_a_proxy_passed_on_is_no_one_at_this_machine(
    path: Path, labelling: Labelling, header: dict[str, str]
) -> None:
    fill(path, 1)
    with (
        serving(labelling, title="t", open_as="me") as url,
        httpx.Client(base_url=url, follow_redirects=True) as http,
    ):
        for where in ("/", "/sign-in", "/quality", "/api/progress"):
            answer = http.get(where, headers=header)
            assert answer.status_code == 403 and "start it without --open" in answer.text, where
        assert labelling.accounts() == []
        assert "Which layout" in http.get("/").text
        assert http.get("/", headers=header).status_code == 403  # with a session too
    with serving(labelling, title="t") as url:
        assert httpx.get(url + "/sign-in", headers=header).status_code == 200


def test_a_name_that_is_not_ours_is_refused(url: str, labelling: Labelling) -> None:
    port = url.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "[::1", "192.168.0.7"):
        for where in ("/", "/sign-in", "/static/app.js", "/api/next"):
            assert httpx.get(url + where, headers={"Host": host}).status_code == 400, host
    assert httpx.get(url + "/sign-in", headers={"Host": f"localhost:{port}"}).status_code == 200
    with serving(labelling, title="t", hosts=["label.example"]) as other:
        assert httpx.get(other + "/sign-in", headers={"Host": "label.example"}).status_code == 200
    with serving(labelling, "0.0.0.0", title="t") as other:
        where = f"http://127.0.0.1:{other.rpartition(':')[2]}/sign-in"
        assert httpx.get(where, headers={"Host": "192.168.0.7:80"}).status_code == 200
        assert httpx.get(where, headers={"Host": "evil.example"}).status_code == 400


def test_guessing_is_slowed_down(
    people: People, labelling: Labelling, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "PER_ADDRESS", RateLimitItemPerMinute(20))
    labelling.set_password("ada", PASSWORD, "labeller")
    ada = people()
    ada.get("/sign-in")
    codes = [ada.post("/sign-in", name="Ada" if i % 2 else "ada", password=f"wrong {i}").status_code for i in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert "Wait five minutes" in ada.page.text and ada.page.headers["retry-after"]
    assert httpx.post(url + "/api/session", json={"name": "ada", "password": PASSWORD}).status_code == 429
    with ThreadPoolExecutor(4) as pool:  # one address, many names and codes
        tries = pool.map(lambda i: httpx.post(url + "/api/session", json={"name": f"n{i}", "password": "x"}), range(10))
        assert {answer.status_code for answer in tries} == {401, 429}
    person = people()
    person.get("/join/guess")
    assert person.post("/join/guess", name="x", password=PASSWORD).status_code == 429


def test_labellers_see_no_researchers_page(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 1)
    ada = people("ada")
    for where in ("/quality", "/quality/answers.jsonl", "/quality/quality.json", "/api/export"):
        assert ada.http.get(where).status_code == 403
    for where in ("/quality/invite", "/quality/deactivate", "/quality/put-back"):
        assert ada.post(where, part=True, name="ada", comparison="x", role="researcher").status_code == 403
    assert [account.active for account in labelling.accounts()] == [True]


def test_another_labellers_lease_is_out_of_reach(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 2)
    ada, bob = people("ada"), people("bob")
    stolen = ada.field("token")
    csrf = {"csrf": bob.field("csrf"), "token": stolen}
    for where, fields in (
        ("/read", {"side": "a", "instrument": "temperature", "place": "1"}), ("/claim", {"claim": "0"}),
        ("/draft", {"rationale": "x"}), ("/answer", {"choice": "a"}), ("/report", {"reason": "x"}),
        ("/instrument", {"instrument": "temperature"}), ("/answer", {"choice": "a", "stage": "answer"}),
    ):  # fmt: skip
        answer = bob.http.post(where, data=csrf | fields, headers={"HX-Request": "true"})
        assert answer.status_code == 409, where
        assert where == "/draft" or "That comparison is closed" in answer.text
    assert bob.http.get(f"/board/{stolen}/a").status_code == 404
    assert bob.http.get(f"/api/work/{stolen}").status_code == 404
    body = {"choice": "a", "stage": "answer"}
    headers = {"X-CSRF-Token": bob.field("csrf")}
    assert bob.http.post(f"/api/work/{stolen}/answer", json=body, headers=headers).status_code == 404
    work = labelling.work("ada", stolen)
    assert (work.readings, work.opened, work.draft, count(labelling)) == ((), (), {}, 0)


def test_another_projects_runs_are_out_of_reach(path: Path, people: People, labelling: Labelling) -> None:
    from rewardtree.preferences.labelling import open_labelling

    fill(path, 1, run="another")
    other = open_labelling(path, "another")
    other.set_password("eve", PASSWORD, "labeller")
    work = other.next("eve")
    assert work is not None
    token, _ = other.sign_in("eve", PASSWORD)
    ada = people("eve")  # the same name here
    assert "Nothing waits" in ada.page.text
    assert ada.http.get(f"/board/{work.token}/a").status_code == 404
    assert ada.post("/answer", token=work.token, choice="a").status_code == 409
    assert httpx.get(ada.url + "/api/progress", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert count(other) == 0
    other.close()


def test_a_lease_replayed_after_its_time(path: Path, people: People, labelling: Labelling, clock: Hands) -> None:
    fill(path, 1)
    ada, bob = people("ada"), people("bob")
    old = ada.page
    clock.ahead = 1000.0
    bob.get("/")
    taken = bob.field("token")
    for where, fields in (("/read", {"side": "a", "instrument": "current", "place": 1}), ("/answer", {"choice": "b"})):
        ada.page = old
        assert ada.post(where, **fields).status_code == 409
        assert "That comparison is closed" in ada.page.text
    bob.post("/answer", choice="a")
    assert [answer.labeller for answer in labelling.records().answers] == ["bob"]
    bob.post("/answer", token=taken, choice="b")
    assert count(labelling) == 1


def test_what_was_written_is_only_ever_text(path: Path, people: People, labelling: Labelling) -> None:
    evil = f"\"'>{SCRIPT}<img src=x onerror=alert(1)>{{{{7*7}}}}"

    def side(seed: int) -> Any:
        import dataclasses

        said = picture(seed)
        board = dataclasses.replace(said.board, alt=evil, facts=((evil, evil),))
        tool = dataclasses.replace(said.instruments[0], label=evil, unit=evil)
        claims = tuple(dataclasses.replace(claim(evil, 3, evil, evil, 0.5), place_label=evil) for _ in range(2))
        return dataclasses.replace(said, board=board, instruments=(tool,), claims=claims)

    fill(path, 1, make=side)
    ada, eve = people("ada"), people("eve", "researcher")
    ada.post("/claim", claim="all")
    ada.post("/instrument", instrument="temperature", rationale=evil)
    ada.post("/read", side="a", instrument="temperature", place="5")
    part = ada.post("/read", part=True, side="a", instrument="temperature", place="5").text
    for text in (ada.page.text, part):
        assert "<img src=x" not in text and SCRIPT not in text and "49" not in text.partition("{{7*7}}")[0][-5:]
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    ada.post("/answer", choice="a", rationale=evil)
    ada.get("/")
    text = eve.get("/quality")
    assert SCRIPT not in text and "<img src=x" not in text


def test_a_script_in_a_picture_is_kept_from_running(path: Path, people: People) -> None:
    import dataclasses

    def side(seed: int) -> Any:
        said = picture(seed)
        svg = said.board.data.replace("</svg>", f"{SCRIPT}</svg>")
        return dataclasses.replace(said, board=dataclasses.replace(said.board, data=svg))

    fill(path, 1, make=side)
    ada = people("ada")
    assert SCRIPT not in ada.page.text
    board = ada.http.get(f"/board/{ada.field('token')}/a")
    assert SCRIPT in board.text  # as it is, but in a sandbox in which nothing runs
    assert "sandbox" in board.headers["content-security-policy"]


def test_no_address_becomes_a_path(people: People) -> None:
    ada = people("ada")
    cookies = "; ".join(f"{each.name}={each.value}" for each in ada.http.cookies.jar)
    for where in (
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/README.md",
        "/static/htmx.LICENSE", "/static/..\\app.py", "/static/app.css%00.js", "/board/..%2f..%2fetc/a",
        "/board/x/..%2fb", "/api/work/..%2f..%2fx/boards/a", "/static/", "/static",
    ):  # fmt: skip
        with socket.create_connection(("127.0.0.1", int(ada.url.rpartition(":")[2]))) as raw:
            head = f"GET {where} HTTP/1.1\r\nHost: {host(ada.url)}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n"
            raw.sendall(head.encode())
            answer = b"".join(iter(lambda raw=raw: raw.recv(65536), b""))  # type: ignore[misc]
        assert answer.split(b" ", 2)[1] in (b"404", b"422"), where
        assert b"root:" not in answer and b"import " not in answer, where


def raw_request(url: str, head: str, pieces: Iterator[bytes], wait: float = 5.0) -> tuple[bytes, int]:
    """Sends a request piece by piece until the server answers; returns its answer and the bytes that it took."""
    sent = 0
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=wait) as raw:
        raw.sendall(head.encode())
        raw.setblocking(False)
        answer, until = b"", time.monotonic() + wait
        piece = next(pieces, b"")
        while time.monotonic() < until:
            try:
                answer += (got := raw.recv(65536))
                if not got:
                    break
            except BlockingIOError:
                pass
            except ConnectionError:
                break
            try:
                if piece and not answer:
                    done = raw.send(piece)
                    sent, piece = sent + done, piece[done:] or next(pieces, b"")
            except BlockingIOError:
                pass
            except ConnectionError:
                piece = b""
            time.sleep(0.0005)
        return answer, sent


@pytest.mark.parametrize("chunked", [False, True])
def test_a_hundred_megabytes_are_refused_early(path: Path, people: People, labelling: Labelling, chunked: bool) -> None:
    fill(path, 1)
    ada = people("ada")
    cookies = "; ".join(f"{each.name}={each.value}" for each in ada.http.cookies.jar)
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 100000000"
    head = (
        f"POST /answer HTTP/1.1\r\nHost: {host(ada.url)}\r\nCookie: {cookies}\r\n{length}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    megabyte = b"a" * 1_000_000
    block = b"f4240\r\n" + megabyte + b"\r\n" if chunked else megabyte
    answer, sent = raw_request(ada.url, head, iter([block] * 100))
    assert answer.startswith(b"HTTP/1.1 413 ") and b"That is too long" in answer
    assert sent < 20_000_000  # what the sockets hold, and no more
    assert ada.http.post("/answer", data={"rationale": "a" * LARGEST_BODY}).status_code == 413
    assert ada.post("/answer", rationale="a" * 5000, choice="a").status_code == 422
    ada.get("/")
    assert ada.post("/answer", choice="a", rationale="ä" * 4000).status_code == 200
    assert count(labelling) == 1


def test_slow_clients_are_let_go(path: Path, people: People, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("rewardtree.web.serve"), "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.5)
    ada = people("ada")
    cookies = "; ".join(f"{each.name}={each.value}" for each in ada.http.cookies.jar)

    def drip(piece: bytes) -> Iterator[bytes]:
        for _ in range(200):
            time.sleep(0.05)
            yield piece

    start = time.monotonic()
    answer, _ = raw_request(url, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", drip(b"X-A: b\r\n"), 4.0)
    assert answer == b"" and time.monotonic() - start < 2.0
    head = f"POST /answer HTTP/1.1\r\nHost: {host(url)}\r\nCookie: {cookies}\r\nContent-Length: 9000\r\n"
    start = time.monotonic()
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    answer, _ = raw_request(url, head, drip(b"a"), 4.0)
    assert answer.startswith(b"HTTP/1.1 408 ") and time.monotonic() - start < 2.0
    # while thirty of them wait, others are served
    slow = [socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) for _ in range(30)]
    for each in slow:
        each.sendall(b"GET / HTTP/1.1\r\n")
    assert ada.http.get("/pause").status_code == 200
    for each in slow:
        each.close()


def test_an_endless_head_is_cut_off(people: People, url: str) -> None:
    ada = people("ada")
    for piece in (b"X-Long: " + b"a" * 9000 + b"\r\n", b"a" * 9000):  # many headers, and one that does not end
        begin = "GET / HTTP/1.1\r\nX-Long: " if piece.startswith(b"a") else "GET / HTTP/1.1\r\n"
        answer, sent = raw_request(url, begin, itertools.repeat(piece), 8.0)
        assert answer.startswith(b"HTTP/1.1 400 ") and sent < 1_000_000
    assert ada.http.get("/pause").status_code == 200


def test_a_body_that_nobody_reads_holds_no_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("rewardtree.web.serve"), "WHOLE_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5.0) as raw:
        raw.sendall(f"GET /static/icon.svg HTTP/1.1\r\nHost: {host(url)}\r\nContent-Length: 60000\r\n\r\na".encode())
        until, answer = time.monotonic() + 4.0, b""
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < until:
                time.sleep(0.05)
                raw.sendall(b"a")
                raw.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    got = raw.recv(65536)
                    answer += got
                    if not got:
                        break
                raw.setblocking(True)
        assert time.monotonic() < until and answer.startswith(b"HTTP/1.1 200 ")


def test_a_body_is_no_second_request(url: str) -> None:
    inner = "GET /static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for extra in ("Connection: Upgrade\r\nUpgrade: h2c\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n"):
        head = f"POST /sign-in HTTP/1.1\r\nHost: {host(url)}\r\n{extra}Content-Length: {len(inner)}\r\n\r\n"
        answer, _ = raw_request(url, head, iter([inner.encode()]), 2.0)
        assert answer.count(b"HTTP/1.1 ") == 1 and b"image/svg+xml" not in answer.partition(b"\r\n\r\n")[0]


def test_endless_trailers_are_cut_off(url: str) -> None:
    head = f"GET /static/icon.svg HTTP/1.1\r\nHost: {host(url)}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5.0) as raw:
        raw.sendall(head.encode() + b"0\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(2000):
                raw.sendall(b"a: b\r\n" * 1000)


def test_an_origin_that_is_no_address_is_foreign(people: People) -> None:
    ada = people("ada")
    answer = ada.http.post("/answer", data={}, headers={"Origin": "http://["})
    assert answer.status_code == 403 and "content-security-policy" in answer.headers


def test_the_store_out_of_reach_is_said_so(path: Path, people: People, labelling: Labelling) -> None:
    fill(path, 1, make=passage)
    ada = people("ada")
    broken, whole = path.with_suffix(".away"), path
    before = ada.page
    labelling._engine.dispose()
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{whole}{suffix}")
        if part.exists():
            part.rename(f"{broken}{suffix}")
    whole.mkdir()
    answer = ada.http.get("/")
    assert answer.status_code == 503 and "Traceback" not in answer.text
    assert answer.headers["content-security-policy"] == guard.POLICY
    whole.rmdir()
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{broken}{suffix}")
        if part.exists():
            part.rename(f"{whole}{suffix}")
    ada.page = before
    assert ada.post("/answer", choice="a").status_code == 200
    assert count(labelling) == 1


@pytest.mark.parametrize("signed", [False, True])
def test_no_request_of_the_described_kind_breaks_the_interface(
    path: Path, url: str, labelling: Labelling, signed: bool
) -> None:
    fill(path, 5)
    labelling.set_password("ada", PASSWORD, "researcher")
    with httpx.Client(base_url=url) as http:
        token = http.post("/api/session", json={"name": "ada", "password": PASSWORD}).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        described = http.get("/api/openapi.json", headers=bearer).json()
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=url)
    held = labelling.next("ada")
    assert held is not None
    for operation in schema.get_all_operations():
        done = operation.ok()
        if done.path in ("/api/session", "/api/undo") and signed:
            continue  # the first ends the session, or is limited; the second is tried by itself
        _try(done, bearer if signed else {}, held.token, signed)
    assert labelling.session(token) is not None


def _try(operation: Any, headers: dict[str, str], token: str, signed: bool) -> None:
    """Sends requests of one kind, half of them about a lease that is held."""
    from hypothesis import HealthCheck, Phase, given, settings

    @settings(
        max_examples=8, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        if "token" in case.path_parameters and len(str(case.path_parameters["token"])) % 2:
            case.path_parameters["token"] = token
        answer = case.call(headers=headers)
        assert answer.status_code < 500, answer.text
        if signed:
            case.validate_response(answer)
        else:
            allowed = {400, 401, 404, 405, 413, 422, 429} if case.path == "/api/session" else {400, 401, 405}
            assert answer.status_code in allowed, (answer.status_code, answer.text)

    send()
