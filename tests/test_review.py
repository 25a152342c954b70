"""What people say of faces: kept beside the machine's word, compared with it, served locally."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from forensic_emotion.case import audit, reviews
from forensic_emotion.case.digest import face_key, run_digests
from forensic_emotion.case.queries import opened_case
from forensic_emotion.case.reviews import Agreement, Judgement, Review, cohens_kappa
from forensic_emotion.case.store import CaseStore
from forensic_emotion.cli import app, noting
from forensic_emotion.errors import CaseError, FemoError, UsageError
from forensic_emotion.intervals import wilson
from forensic_emotion.records import CLASSES, Box
from forensic_emotion.report.render import review_page
from forensic_emotion.review import MAX_BODY, Desk, ReviewServer
from forensic_emotion.verification import verify
from tests.builders import encoded, picture, scanned, tamper
from tests.test_engine import rows

AT = "2026-01-01T00:00:00.000000000Z"


@pytest.fixture(scope="module")
def scanned_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of four faces each, all happy: 1 to 4 and 5 to 8."""
    folder = tmp_path_factory.mktemp("scanned")
    (evidence := folder / "evidence").mkdir()
    for n in range(4):
        image = picture(faces=[Box(20, 10, 60, 50)], background=90 + n)
        (evidence / f"{n}.png").write_bytes(encoded(image))
    for _ in range(2):
        scanned(evidence, folder / "case.db")
    return folder / "case.db"


@pytest.fixture
def case(scanned_case: Path, tmp_path: Path) -> Path:
    for name in ("case.db", "case.db.audit"):
        shutil.copy(scanned_case.with_name(name), tmp_path)
    return tmp_path / "case.db"


def say(case: Path, *said: Judgement, reviewer: str = "A", run: int = 1) -> None:
    with closing(CaseStore(case)) as store:
        for judgement in said:
            store.add_review(run, judgement, reviewer, AT, ("femo", "review"))


def faults(case: Path) -> list[str]:
    with opened_case(case) as opened:
        return verify(opened, case, 1, None, lambda: None).faults


# ---- the case --------------------------------------------------------------------------------------


def test_a_review_stands_beside_the_machines_word(case: Path) -> None:
    def machine() -> Any:
        with opened_case(case) as opened:
            faces = [tuple(row) for row in opened.execute("SELECT * FROM faces")]
            runs = [tuple(row) for row in opened.execute("SELECT * FROM runs")]
            return faces, runs, run_digests(opened, 1), run_digests(opened, 2)

    before = machine()
    say(case, Judgement(1, "confirmed"), Judgement(2, "relabelled", "sad", "tears"))
    say(case, Judgement(1, "rejected", None, "a badge"), reviewer="B")
    assert machine() == before
    assert faults(case) == []
    assert rows(case, "SELECT * FROM reviews") == [
        (1, 1, 1, AT, "A", "confirmed", None, ""),
        (2, 1, 2, AT, "A", "relabelled", "sad", "tears"),
        (3, 1, 1, AT, "B", "rejected", None, "a badge"),
    ]
    with opened_case(case) as opened:
        *_, last = audit.entries(opened)
        assert (last.action, last.run_id, last.at) == ("review", 1, AT)
        assert last.detail == {
            **{"review": 3, "face_id": 1, "verdict": "rejected", "label": None},
            **{"note": "a badge", "reviewer": "B", "face": face_key(opened, 1)},
        }
        assert audit.head(opened, results_only=True) == last.sha256  # a report shows reviews
        assert reviews.read_reviews(opened, 1) == {
            1: Review(3, 1, 1, AT, "B", "rejected", None, "a badge", None),
            2: Review(2, 1, 2, AT, "A", "relabelled", "sad", "tears", "sad"),
        }
        assert reviews.read_reviews(opened, 2) == {}
        history = reviews.read_history(opened, 1, 1)
        assert [(r.reviewer, r.verdict, r.seen) for r in history] == [
            ("A", "confirmed", "happy"),
            ("B", "rejected", None),
        ]
    assert case.with_name("case.db.audit").read_text().splitlines()[-1].startswith(last.sha256)


def test_what_is_withdrawn_counts_no_more(case: Path) -> None:
    say(case, Judgement(1, "confirmed"), Judgement(1, "withdrawn", None, "the wrong face"))
    with opened_case(case) as opened:
        assert reviews.read_reviews(opened, 1) == {}
        assert len(reviews.read_history(opened, 1, 1)) == 2
        assert reviews.agreement(opened, 1).reviewed == 0
    with pytest.raises(UsageError, match="has no review to withdraw"):
        say(case, Judgement(1, "withdrawn"))
    assert rows(case, "SELECT * FROM face_reviews") == []
    say(case, Judgement(1, "relabelled", "fear"))
    with opened_case(case) as opened:
        assert reviews.read_reviews(opened, 1)[1].seen == "fear"


def test_the_view_and_the_reading_agree(case: Path) -> None:
    say(case, Judgement(1, "confirmed"), Judgement(2, "relabelled", "sad"), Judgement(3, "rejected"))
    say(case, Judgement(4, "rejected"), Judgement(4, "withdrawn"))
    say(case, Judgement(2, "relabelled", "fear", "again"))
    with opened_case(case) as opened:
        read = [
            (r.run_id, r.face_id, r.at, r.reviewer, r.verdict, r.seen, r.note)
            for r in reviews.read_reviews(opened, 1).values()
        ]
    assert rows(case, "SELECT * FROM face_reviews ORDER BY face_id") == read


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"face_id": True}, "not a whole number"),
        ({"face_id": "1"}, "not a whole number"),
        ({"face_id": 1.0}, "not a whole number"),
        ({"face_id": 99}, "no face 99"),
        ({"face_id": -(10**30)}, "no face"),
        ({"face_id": 2**63}, "no face"),
        ({"face_id": 5}, "Run 1 has no face 5"),
        ({"verdict": "maybe"}, "not one of confirmed, rejected, relabelled, withdrawn"),
        ({"verdict": None}, "not one of confirmed"),
        ({"verdict": ["confirmed"]}, "not one of confirmed"),
        ({"verdict": "relabelled"}, "not one of angry"),
        ({"verdict": "relabelled", "label": "uncertain"}, "not one of angry"),
        ({"verdict": "relabelled", "label": {}}, "not one of angry"),
        ({"verdict": "relabelled", "label": "happy"}, "confirm the face instead"),
        ({"label": "sad"}, "takes no label"),
        ({"verdict": "withdrawn", "label": "happy"}, "takes no label"),
        ({"verdict": "withdrawn"}, "has no review to withdraw"),
        ({"note": None}, "not text"),
        ({"note": "x" * 10_001}, "10001 characters"),
        ({"note": "half \ud83d"}, "not a character"),
    ],
)
def test_what_cannot_be_meant_is_refused_whole(case: Path, said: dict[str, Any], text: str) -> None:
    entries = rows(case, "SELECT COUNT(*) FROM audit")
    with pytest.raises(UsageError, match=text):
        say(case, Judgement(**{"face_id": 1, "verdict": "confirmed", **said}))
    assert rows(case, "SELECT COUNT(*) FROM reviews") == [(0,)]
    assert rows(case, "SELECT COUNT(*) FROM audit") == entries


def test_review_and_entry_are_written_together_or_not_at_all(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(audit, "append", full)
    with pytest.raises(CaseError, match="disk is full"):
        say(case, Judgement(1, "confirmed"))
    assert rows(case, "SELECT COUNT(*) FROM reviews") == [(0,)]


def test_the_table_refuses_changes(case: Path) -> None:
    say(case, Judgement(1, "confirmed"))
    connection = sqlite3.connect(case)
    for sql in ("UPDATE reviews SET note = 'x'", "DELETE FROM reviews"):
        with pytest.raises(sqlite3.IntegrityError, match="reviews table is only added to"):
            connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("UPDATE reviews SET note = 'other' WHERE id = 2", "review 2 of face 2: it was changed"),
        ("UPDATE reviews SET verdict = 'rejected' WHERE id = 1", "review 1 of face 1: it was changed"),
        ("UPDATE reviews SET label = 'fear' WHERE id = 2", "review 2 of face 2: it was changed"),
        ("UPDATE reviews SET at = '2020' WHERE id = 2", "review 2 of face 2: it was changed"),
        ("UPDATE reviews SET reviewer = 'B' WHERE id = 2", "review 2 of face 2: it was changed"),
        ("UPDATE reviews SET run_id = 2 WHERE id = 2", "review 2 of face 2: it was changed"),
        ("UPDATE reviews SET face_id = 3 WHERE id = 2", "review 2 of face 3: it was changed"),
        ("DELETE FROM reviews WHERE id = 2", "review 2 of face 2 is missing"),
        ("DELETE FROM reviews WHERE id = 1", "review 1 of face 1 is missing"),
        (
            "INSERT INTO reviews VALUES (3, 1, 4, '', 'A', 'rejected', NULL, '')",
            "review 3 of face 4: the audit table has no entry for it",
        ),
        (
            "INSERT OR REPLACE INTO reviews VALUES (1, 1, 1, '', 'A', 'rejected', NULL, '')",
            "review 1 of",
        ),
    ],
)
def test_a_changed_review_is_named(case: Path, sql: str, fault: str) -> None:
    say(case, Judgement(1, "confirmed"), Judgement(2, "relabelled", "sad", "tears"))
    assert faults(case) == []
    tamper(case, sql)
    # Of another run's number it is said too that its face is none of that run.
    (found,) = (each for each in faults(case) if "face of another run" not in each)
    assert fault in found


# ---- agreement -------------------------------------------------------------------------------------


def agreement(case: Path) -> Agreement:
    with opened_case(case) as opened:
        return reviews.agreement(opened, 1)


def test_the_figures_are_those_by_hand(case: Path) -> None:
    connection = sqlite3.connect(case)
    connection.execute("UPDATE faces SET label = 'uncertain' WHERE id = 3")
    connection.execute("UPDATE faces SET label = 'sad', top_class = 'sad' WHERE id = 2")
    # Six more of the first, so that there are ten: 9 to 14.
    columns = [row[1] for row in connection.execute("PRAGMA table_info(faces)")]
    rest = ", ".join(f'"{name}"' for name in columns if name not in ("id", "face"))
    for n in range(6):
        connection.execute(
            f"INSERT INTO faces (face, {rest}) SELECT {n + 1}, {rest} FROM faces WHERE id = 1"
        )
    connection.commit()
    connection.close()
    say(case, Judgement(1, "confirmed"), Judgement(2, "confirmed"), Judgement(9, "confirmed"))
    say(case, Judgement(10, "relabelled", "sad"), Judgement(3, "relabelled", "fear"), reviewer="B")
    say(case, Judgement(4, "rejected"), Judgement(11, "confirmed"), Judgement(11, "withdrawn"))
    found = agreement(case)
    assert (found.faces, found.reviewers) == (10, 2)
    assert (found.reviewed, found.confirmed, found.rejected, found.relabelled) == (6, 3, 1, 2)
    assert found.overruled == 1, "what was taken back"
    assert found.share == wilson(3, 5)
    # 3 of 5: the centre (0.6 + 1.9208/5) / (1 + 3.8415/5), and what lies around it.
    assert (found.share.low, found.share.high) == pytest.approx((0.2307, 0.8824), abs=5e-5)
    assert vars(found.answered) == {
        **{"reviewed": 5, "confirmed": 3, "rejected": 1, "relabelled": 1},
        "share": wilson(3, 4),
    }
    assert vars(found.uncertain) == {
        **{"reviewed": 1, "confirmed": 0, "rejected": 0, "relabelled": 1},
        "share": wilson(0, 1),
    }
    happy, sad, fear = (CLASSES.index(name) for name in ("happy", "sad", "fear"))
    cells = {(i, j): n for i, row in enumerate(found.table) for j, n in enumerate(row) if n}
    assert cells == {(happy, happy): 2, (happy, sad): 1, (happy, fear): 1, (sad, sad): 1}
    # Agreed 3/5. By chance: happy 4/5 * 2/5, sad 1/5 * 2/5: 10/25. (0.6 - 0.4) / (1 - 0.4).
    assert found.kappa == pytest.approx(1 / 3)
    assert "not an error rate" in found.caveat
    # Another's word takes the place of two; to say the same again takes nobody's.
    say(case, Judgement(1, "rejected"), Judgement(10, "relabelled", "fear"), reviewer="C")
    say(case, Judgement(2, "confirmed"), reviewer="C")
    found = agreement(case)
    assert (found.reviewers, found.overruled) == (3, 3)


def test_nothing_reviewed_has_no_figures(case: Path) -> None:
    found = agreement(case)
    assert (found.reviewed, found.reviewers, found.share, found.kappa) == (0, 0, None, None)
    say(case, Judgement(1, "rejected"))
    found = agreement(case)
    assert (found.reviewed, found.share, found.kappa) == (1, None, None)


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ([[0, 0], [0, 0]], None),
        ([[7, 0], [0, 0]], None),  # both gave one class to all: any agreement is by chance
        ([[0, 7], [0, 0]], 0.0),
        ([[3, 0], [0, 4]], 1.0),
        ([[0, 5], [5, 0]], -1.0),
        ([[20, 5], [10, 15]], 0.4),  # the textbook's: 0.7 agreed, 0.5 by chance
    ],
)
def test_kappa(table: list[list[int]], kappa: float | None) -> None:
    assert cohens_kappa(table) == (None if kappa is None else pytest.approx(kappa))


# ---- the server ------------------------------------------------------------------------------------


@pytest.fixture
def server(case: Path) -> Iterator[ReviewServer]:
    desk = Desk(case, 1, "Ann", ("femo", "review"), lambda: b"<p>the page</p>")
    server = ReviewServer(desk)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_browser_that_reads_slowly_gets_the_whole_page(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has to show is patience for a piece of it, not for all."""
    monkeypatch.setattr("forensic_emotion.review._Handler.timeout", 0.8)
    page = bytes(12 << 20)
    server = ReviewServer(Desk(case, 1, "Ann", ("femo", "review"), lambda: page))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    address = ("127.0.0.1", server.server_port)
    with socket.create_connection(address, timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        host = f"127.0.0.1:{server.server_port}"
        request = f"GET /{server.token}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        got = 0
        while part := connection.recv(1 << 18, socket.MSG_WAITALL):
            got += len(part)
            time.sleep(0.05)
    server.shutdown()
    thread.join()
    server.server_close()
    assert got > len(page)


def test_a_review_that_is_in_the_case_is_said_to_be(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(case, 1, "Ann", ("femo", "review"), lambda: b"")

    def full(*_: object) -> None:
        raise CaseError("The audit file cannot be written: No space left on device.", "Free up space.")

    monkeypatch.setattr("forensic_emotion.case.store.write_audit_file", full)
    answer = desk.add(Judgement(1, "confirmed"))
    assert "No space left" in answer["warning"]
    assert desk.reviews()["reviews"] != []
    monkeypatch.undo()
    assert desk.add(Judgement(1, "rejected"))["warning"] is None
    case.rename(case.with_name("elsewhere.db"))
    with pytest.raises(CaseError, match="is gone"):
        desk.add(Judgement(1, "rejected"))
    assert not case.exists()


SAID = {"face_id": 1, "verdict": "confirmed", "label": None, "note": ""}


def ask(
    server: ReviewServer,
    method: str,
    place: str,
    body: Any = None,
    token: str | None = None,
    **changes: str | None,
) -> tuple[int, Any, http.client.HTTPResponse]:
    """Ask as the page does, but for the headers in ``changes``; None leaves one out."""
    host = f"127.0.0.1:{server.server_port}"
    headers = {"Host": host}
    if method == "POST":
        headers |= {"Origin": f"http://{host}", "Content-Type": "application/json", "X-Femo": "review"}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}  # type: ignore[misc]
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        path = f"/{server.token if token is None else token}/{place}"
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if raw is not None:
            headers.setdefault("Content-Length", str(len(raw)))
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(raw)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    told = response.headers.get_content_type()
    return response.status, json.loads(content) if told == "application/json" else content, response


def raw(server: ReviewServer, request: bytes) -> bytes:
    """What comes back for bytes that need not be HTTP."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def written(case: Path) -> int:
    return int(rows(case, "SELECT COUNT(*) FROM reviews")[0][0])


def test_the_way_of_a_review(server: ReviewServer, case: Path) -> None:
    assert server.url == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    assert len(server.token) >= 43
    status, page, response = ask(server, "GET", "")
    assert (status, page) == (200, b"<p>the page</p>")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    status, answer, _ = ask(server, "POST", "reviews", {**SAID, "note": "as I see it"})
    assert status == 200, answer
    at = answer.pop("at")
    assert answer == {**SAID, "note": "as I see it", "reviewer": "Ann", "warning": None}
    ask(server, "POST", "reviews", {"face_id": 1, "verdict": "relabelled", "label": "sad"})
    status, answer, _ = ask(server, "GET", "reviews")
    assert status == 200
    (review,) = answer["reviews"]
    assert review.pop("at") > at
    assert review == {
        **{"face_id": 1, "verdict": "relabelled", "label": "sad", "note": "", "reviewer": "Ann"}
    }
    assert answer["agreement"]["share"] == vars(wilson(0, 1))
    assert answer["agreement"]["faces"] == 4
    status, history, _ = ask(server, "GET", "faces/1/history")
    assert (status, [r["verdict"] for r in history]) == (200, ["confirmed", "relabelled"])
    assert history[0]["at"] == at
    assert ask(server, "GET", "faces/2/history")[:2] == (200, [])
    # As nothing runs now, the case is one whole file with its audit beside it.
    assert not case.with_name("case.db-wal").exists()
    assert faults(case) == []


def test_every_answer_has_the_headers_that_fence_it_in(server: ReviewServer) -> None:
    for place, token in (("", None), ("reviews", None), ("reviews", "wrong"), ("nowhere", None)):
        _, _, response = ask(server, "GET", place, token=token)
        headers = response.headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "femo"
        assert not any(name.lower().startswith("access-control") for name in headers)


@pytest.mark.parametrize("token", ["", "wrong", "é", "%00", "..", "?"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_wrong_token_is_refused_without_a_hint(server: ReviewServer, method: str, token: str) -> None:
    request = f"{method} /{token}/reviews HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
    answer = raw(server, request.encode("latin-1"))
    assert b" 403 " in answer.splitlines()[0]
    assert answer.endswith(b'{"error": "Forbidden."}')


@pytest.mark.parametrize(
    "path",
    ["/", "//", "*", "/{}", "//{}/", "http://127.0.0.1:{port}/{}/", "x/{}/", "/{}x/", "/x{}/"],
)
def test_a_path_that_is_none_of_ours(server: ReviewServer, path: str) -> None:
    asked = path.format(server.token, port=server.server_port)
    answer = raw(
        server, f"GET {asked} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode()
    )
    # http.server takes several slashes at the start for one.
    expected = b" 200 " if path == "//{}/" else b" 403 "
    assert expected in answer.splitlines()[0]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "127.0.0.1", "localhost", "evil.example:{}", "127.0.0.1:1", "[::1]:{}"],
)
def test_another_host_is_refused(
    server: ReviewServer, case: Path, method: str, host: str | None
) -> None:
    """As when a web site has its own name point here, to read what it could not read otherwise."""
    name = None if host is None else host.format(server.server_port)
    status, answer, _ = ask(server, method, "reviews", SAID, Host=name, Origin=f"http://{name}")
    assert (status, answer) == (403, {"error": "Forbidden."})
    assert written(case) == 0


def test_two_hosts_are_refused_and_localhost_is_not(server: ReviewServer) -> None:
    port, path = server.server_port, f"/{server.token}/"
    two = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n"
    assert b" 403 " in raw(server, two.encode()).splitlines()[0]
    local = f"localhost:{port}"
    assert ask(server, "GET", "", Host=local)[0] == 200
    assert ask(server, "POST", "reviews", SAID, Host=local, Origin=f"http://{local}")[0] == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Origin": None, "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Origin": None, "Sec_Fetch_Site": "none"}, 403),
        ({"Origin": "http://evil.example", "Sec_Fetch_Site": "same-origin"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"X_Femo": None}, 403),
        ({"X_Femo": "other"}, 403),
        ({"Content_Type": None}, 415),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Length": "-1"}, 400),
        ({"Content_Length": "x"}, 400),
        ({"Content_Length": None}, 411),
        ({"Transfer_Encoding": "chunked"}, 411),
        ({"Origin": None, "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": "null", "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Content_Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_only_the_pages_write(
    server: ReviewServer, case: Path, changes: dict[str, str | None], status: int
) -> None:
    found, answer, response = ask(server, "POST", "reviews", SAID, **changes)
    assert found == status, answer
    assert (response.headers["Connection"] == "close") == (status != 200)
    assert written(case) == (status == 200)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"face_id": ' + b"9" * 10_000 + b', "verdict": "confirmed"}', "not JSON"),
        ([], "nothing else"),
        ("face", "nothing else"),
        ({"face_id": 1}, "nothing else"),
        ({**SAID, "reviewer": "somebody else"}, "nothing else"),
        ({**SAID, "face_id": 99}, "Run 1 has no face 99"),
        ({**SAID, "face_id": 5}, "Run 1 has no face 5"),
        ({**SAID, "verdict": "relabelled"}, "label"),
        ({**SAID, "label": "sad"}, "label"),
        ({**SAID, "note": "\ud83d"}, "not a character"),
        (b'{"face_id": 1, "verdict": "confirmed", "label": NaN, "note": ""}', "label"),
    ],
)
def test_what_is_no_review_is_told(server: ReviewServer, case: Path, body: Any, text: str) -> None:
    status, answer, _ = ask(server, "POST", "reviews", body)
    assert (status, list(answer)) == (400, ["error"])
    assert text in answer["error"]
    assert written(case) == 0
    assert ask(server, "GET", "")[0] == 200


def test_a_body_that_is_too_large(server: ReviewServer, case: Path) -> None:
    status, answer, _ = ask(server, "POST", "reviews", {**SAID, "note": "x" * MAX_BODY})
    assert (status, "bytes at most" in answer["error"]) == (413, True)
    host = f"127.0.0.1:{server.server_port}"
    headers = f"Host: {host}\r\nOrigin: http://{host}\r\nX-Femo: review\r\nContent-Length: {10**14}"
    request = f"POST /{server.token}/reviews HTTP/1.1\r\n{headers}\r\n"
    answer = raw(server, f"{request}Content-Type: application/json\r\n\r\n{{}}".encode())
    assert b" 413 " in answer.splitlines()[0]
    longest = "\U0001f600" * 10_000
    status, answer, _ = ask(server, "POST", "reviews", {**SAID, "note": longest})
    assert (status, answer["note"]) == (200, longest)
    assert written(case) == 1


def test_what_is_asked_for_wrongly(server: ReviewServer) -> None:
    assert ask(server, "GET", "faces/5/history")[0] == 400
    assert ask(server, "GET", "faces/999999999999999999/history")[0] == 400
    for place in ("nowhere", "faces/x/history", "faces/1", "../reviews", "%2e%2e/", "reviews/"):
        assert ask(server, "GET", place)[0] == 404, place
    assert ask(server, "POST", "", SAID)[0] == 404
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert ask(server, method, "reviews")[0] == 501


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/x\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET " + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\x00: \xff\r\n\r\n",
        b"\xff\xfe\xfd \x00 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nshort",
    ],
)
def test_what_is_no_request_costs_nothing(
    server: ReviewServer, request_: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = raw(server, request_)
    assert b"Traceback" not in answer
    assert answer == b"" or b'{"error"' in answer
    assert ask(server, "GET", "")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_what_lies_unread_is_no_request(server: ReviewServer, case: Path) -> None:
    host = f"127.0.0.1:{server.server_port}"
    inner = f"GET /{server.token}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"
    for method in ("GET", "POST"):
        outer = f"{method} /{server.token}/x HTTP/1.1\r\nHost: {host}\r\n"
        outer += f"Content-Length: {len(inner)}\r\n\r\n"
        answer = raw(server, (outer + inner).encode())
        assert answer.count(b"HTTP/1.1 ") == 1


def test_one_connection_for_several_requests(server: ReviewServer) -> None:
    request = f"GET /{server.token}/reviews HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
    assert raw(server, request.encode() * 3).count(b"HTTP/1.1 200 OK") == 3


HOSTILE = "<script>alert(1)</script>\"'&\x00\x1b[31m\r\n\u202e'; DROP TABLE reviews; --\U0001f600"


def test_a_hostile_note_is_kept_as_it_is_and_shown_escaped(server: ReviewServer, case: Path) -> None:
    status, answer, _ = ask(server, "POST", "reviews", {**SAID, "note": HOSTILE})
    assert (status, answer["note"]) == (200, HOSTILE)
    assert rows(case, "SELECT note FROM reviews") == [(HOSTILE,)]
    assert ask(server, "GET", "reviews")[1]["reviews"][0]["note"] == HOSTILE
    assert faults(case) == []
    page = review_page(case, 1, "<b>Ann\x1b").decode()
    assert page.count("<script>") == 1
    assert "<b>Ann" not in page
    assert "reviewing as &lt;b&gt;Ann\\u001b" in page
    assert not any(c in page for c in "\x00\x1b\u202e")
    assert "connect-src" in page
    assert "femo" in CliRunner().invoke(app, ["info", str(case)]).output


def test_reviews_at_the_same_time_are_all_written(server: ReviewServer, case: Path) -> None:
    found: list[int] = []

    def send(face: int) -> None:
        for _ in range(3):
            found.append(ask(server, "POST", "reviews", {**SAID, "face_id": face})[0])
            found.append(ask(server, "GET", "reviews")[0])

    threads = [threading.Thread(target=send, args=(n + 1,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 24
    assert written(case) == server.desk.written == 12
    assert faults(case) == []


def test_a_scan_beside_it_and_a_review_wait_for_each_other(server: ReviewServer, case: Path) -> None:
    with closing(CaseStore(case)) as scan:
        with scan._transaction():
            scan.note("scan", None, AT, (), {})
            asked = threading.Thread(target=ask, args=(server, "POST", "reviews", SAID))
            asked.start()
            asked.join(0.5)
            assert asked.is_alive()
        asked.join()
        scan.note("scan ended", None, AT, (), {})
    assert written(case) == 1
    assert rows(case, "SELECT action FROM audit ORDER BY id DESC LIMIT 3") == [
        ("scan ended",),
        ("review",),
        ("scan",),
    ]
    assert not any("review" in fault for fault in faults(case))


def test_a_case_that_cannot_be_written_is_told(
    server: ReviewServer, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensic_emotion.case.store.BUSY_SECONDS", 0.1)
    other = sqlite3.connect(case, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("BEGIN IMMEDIATE")
    status, answer, _ = ask(server, "POST", "reviews", SAID)
    assert (status, "cannot be written: database is locked" in answer["error"]) == (503, True)
    other.execute("ROLLBACK")
    assert ask(server, "POST", "reviews", SAID)[0] == 200
    other.close()


def test_a_fault_costs_one_request_and_shows_no_traceback(
    server: ReviewServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fault() -> None:
        raise ZeroDivisionError("a fault\x1b")

    monkeypatch.setattr(server.desk, "page", fault)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "GET", "")
    assert ask(server, "GET", "reviews")[0] == 200
    assert capfd.readouterr().err == "A request failed: ZeroDivisionError: a fault\\u001b\n"


def test_what_has_ended_takes_no_more(server: ReviewServer, case: Path) -> None:
    ask(server, "POST", "reviews", SAID)
    with opened_case(case) as opened:
        assert server.desk.end() == audit.head(opened)
    assert ask(server, "POST", "reviews", SAID)[0] == 503
    assert written(case) == 1


# ---- the command -----------------------------------------------------------------------------------


def test_a_port_in_use(server: ReviewServer, case: Path) -> None:
    with pytest.raises(FemoError, match=r"Port \d+ cannot be used: Address already in use"):
        ReviewServer(server.desk, server.server_port)
    result = CliRunner().invoke(app, ["review", str(case), "--port", str(server.server_port)])
    assert result.exit_code == 1
    assert "--port" in result.output


def test_the_command_from_start_to_end(case: Path) -> None:
    command = [sys.executable, "-m", "forensic_emotion", "review", case]
    with (
        subprocess.Popen(
            [*command, "--run", "2", "--reviewer", "Ann Ex"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        contextlib.ExitStack() as ending,
    ):
        ending.callback(process.kill)  # a test that fails must not wait for it
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Run 2, reviewed by Ann Ex: http://127.0.0.1:")
        _, _, host, token, _ = line.split()[-1].split("/")
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("GET", f"/{token}/")
        page = connection.getresponse().read()
        assert b"reviewing as Ann Ex" in page
        assert len(re.findall(rb'"id":\[(\d+,?){4}\]', page)) == 1
        headers = {"Origin": f"http://{host}", "Content-Type": "application/json", "X-Femo": "review"}
        connection.request("POST", f"/{token}/reviews", json.dumps({**SAID, "face_id": 5}), headers)
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    with opened_case(case) as opened:
        assert f"Reviews written: 1. Audit head: {audit.head(opened)}" in out
        assert reviews.read_reviews(opened, 2)[5].reviewer == "Ann Ex"
        *_, last = audit.entries(opened)
        assert token not in json.dumps(last.arguments)
    assert faults(case) == []
    assert sorted(os.listdir(case.parent)) == ["case.db", "case.db.audit"]


def test_what_cannot_be_reviewed(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def review(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["review", *map(str, arguments)])
        return result.exit_code, result.output

    assert review(tmp_path / "none.db")[0] == 1
    code, output = review(case, "--run", 9)
    assert (code, "no run 9" in output) == (2, True)
    assert review(case, "--reviewer", "  ")[0] == 2
    assert review(case, "--port", 70_000)[0] == 2
    copy = shutil.copy(case, tmp_path / "copy.db")
    monkeypatch.setattr(noting, "writable", lambda _: False)
    code, output = review(copy)
    assert (code, "is read-only" in output) == (1, True)
