"""A run of a case → pages on this machine where a person confirms, rejects or relabels its faces.

Whoever can reach the pages can write reviews. So they are at 127.0.0.1 only, below a token that nobody
can guess. And as any web site may send requests there from a browser on this machine, requests must
name this host, which a site that points its own name here does not, and those that write must come from
these pages.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from forensic_emotion.case import audit
from forensic_emotion.case.queries import opened_case
from forensic_emotion.case.reviews import Judgement, Review, agreement, read_history, read_reviews
from forensic_emotion.case.store import CaseStore
from forensic_emotion.errors import CaseError, FemoError, UsageError
from forensic_emotion.hashes import CHUNK
from forensic_emotion.moments import utc_now
from forensic_emotion.paths import visible

ADDRESS = "127.0.0.1"
MAX_BODY = 1 << 18
"""Bytes of a request; the longest note has its place in it."""
MAX_DROPPED = 1 << 22
"""Bytes of a longer one that are read all the same, so that its sender gets to the answer."""
PATIENCE = 30.0
"""Seconds in which a connection must send something."""

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
INLINE = "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
OF_PAGE = f"{NOTHING}; img-src data:; connect-src 'self'; {INLINE}"
"""The outer fence; the page's own policy names the hashes of its script and style."""


class Desk:
    """One reviewer at one run of a case: all that the pages read and write.

    The case is open only while something is read or written, by one thread at a time: after every
    review it is one whole file with its audit's hashes beside it, however femo ends. And a thread that
    opens and closes the file beside another would drop the locks that SQLite holds on it (POSIX).

    Args:
        case: the case file.
        run_id: a run that it has.
        reviewer: the name under which reviews are written.
        arguments: the command line, for the audit table.
        page: makes the page, as HTML.
    """

    def __init__(
        self,
        case: Path,
        run_id: int,
        reviewer: str,
        arguments: tuple[str, ...],
        page: Callable[[], bytes],
    ) -> None:
        self._case = case
        self._run_id = run_id
        self._reviewer = reviewer
        self._arguments = arguments
        self._page = page
        self._turn = threading.Lock()
        self._ended = False
        self.written = 0

    def page(self) -> bytes:
        with self._turn:
            return self._page()

    def add(self, said: Judgement, seen: Seen | None = None) -> dict[str, Any]:
        """Write a review; returns what was written, with a warning if not all went well behind that.

        Args:
            said: the review.
            seen: what counted of that face for whoever says it; None if they do not tell.

        Raises:
            Overtaken: something else counts by now, which they have not seen.
            UsageError: the run has no such face, or the label is the one that scored highest.
            CaseError: it could not be written.
        """
        at = utc_now()
        with self._turn:
            if self._ended:
                raise FemoError(
                    "The review has ended; this was not written.",
                    "Start femo review again and repeat the review.",
                )
            if not self._case.is_file():  # else one would be made there
                raise CaseError(f"The case {self._case} is gone.", "Is its drive still mounted?")
            if seen is not None:
                with opened_case(self._case) as case:
                    counts = read_reviews(case, self._run_id).get(said.face_id)
                if seen.at != (counts.at if counts else None):
                    raise Overtaken(counts)
            store = CaseStore(self._case)
            warning = None
            try:
                store.add_review(self._run_id, said, self._reviewer, at, self._arguments)
            except BaseException:
                with suppress(CaseError):
                    store.close()
                raise
            self.written += 1
            try:
                store.close()
            except CaseError as error:  # the hashes beside the case; what was said is in it
                warning = f"{error.text} {error.remedy}"
        return {**asdict(said), "at": at, "reviewer": self._reviewer, "warning": warning}

    def reviews(self) -> dict[str, Any]:
        """What counts of each face, and how far it agrees with the machine."""
        with self._turn, opened_case(self._case) as case:
            reviews = read_reviews(case, self._run_id).values()
            found = agreement(case, self._run_id)
        return {"reviews": [_shown(review) for review in reviews], "agreement": asdict(found)}

    def history(self, face_id: int) -> list[dict[str, Any]]:
        """All that was said of a face.

        Raises:
            UsageError: the run has no such face.
        """
        with self._turn, opened_case(self._case) as case:
            return [_shown(review) for review in read_history(case, self._run_id, face_id)]

    def end(self) -> str:
        """Wait for what is being written, and let nothing more be; the head of the audit chain."""
        with self._turn:
            self._ended = True
            with opened_case(self._case) as case:
                return audit.head(case)


@dataclass(frozen=True)
class Seen:
    """What a reviewer saw of a face when they said something of it."""

    at: str | None
    """When the word that counted was written; None if there was none."""


class Overtaken(Exception):
    """Another window or reviewer was quicker, so that what a reviewer said may not be what they mean."""

    def __init__(self, review: Review | None) -> None:
        what = "the review of this face has been withdrawn in the meantime"
        if review is not None:
            what = (
                "this face has been reviewed differently in the meantime; the newer review is now shown"
            )
        super().__init__(what)
        self.review = review


def _shown(review: Review) -> dict[str, Any]:
    names = ("face_id", "verdict", "label", "note", "at", "reviewer")
    return {name: getattr(review, name) for name in names}


class ReviewServer(ThreadingHTTPServer):
    """Serves a desk.

    Args:
        desk: what is served.
        port: where; 0 for any that is free.

    Raises:
        FemoError: the port cannot be had.
    """

    def __init__(self, desk: Desk, port: int = 0) -> None:
        self.desk = desk
        self.token = secrets.token_urlsafe(32)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise FemoError(
                f"Port {port} cannot be used: {error.strerror}.",
                "Choose another with --port, or leave it out to use a free one.",
            ) from error
        self.hosts = (f"{ADDRESS}:{self.server_port}", f"localhost:{self.server_port}")

    @property
    def url(self) -> str:
        return f"http://{self.hosts[0]}/{self.token}/"

    def serve(self) -> str:
        """Serve until interrupted; returns the head of the audit chain."""
        try:
            self.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            self.server_close()
            head = self.desk.end()
        return head

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own would ask the network for this machine's name
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, ConnectionError):  # the browser's page was closed
            return
        if os.environ.get("FEMO_DEBUG") == "1":
            super().handle_error(request, client_address)
        print(f"A request failed: {type(error).__name__}: {visible(str(error))}", file=sys.stderr)


@dataclass(frozen=True)
class _Answer:
    status: HTTPStatus
    body: bytes
    media_type: str = "application/json"
    policy: str = NOTHING


def _json(status: HTTPStatus, value: object) -> _Answer:
    return _Answer(status, json.dumps(value).encode())


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    disable_nagle_algorithm = True
    # What lies unread in a connection must not be taken for its next request.
    unread = True

    def do_GET(self) -> None:
        self.unread = "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        self._answer(self._get)

    def do_POST(self) -> None:
        self.unread = True
        self._answer(self._post)

    def _answer(self, respond: Callable[[str], _Answer]) -> None:
        try:
            answer = respond(self._place())
        except _Refused as refused:
            answer = _json(refused.status, {"error": str(refused)})
        except Overtaken as overtaken:
            review = overtaken.review and _shown(overtaken.review)
            answer = _json(HTTPStatus.CONFLICT, {"error": str(overtaken), "review": review})
        except UsageError as error:
            answer = _json(HTTPStatus.BAD_REQUEST, {"error": error.text})
        except FemoError as error:
            answer = _json(
                HTTPStatus.SERVICE_UNAVAILABLE, {"error": f"{error.text} {error.remedy}".strip()}
            )
        self._send(answer)

    def _place(self) -> str:
        """What is asked for below the token.

        Raises:
            _Refused: the request is not for here. It is not told why.
        """
        hosts = self.headers.get_all("Host", [])
        here = len(hosts) == 1 and hosts[0] in self.server.hosts
        match = re.fullmatch(r"/([^/?]*)/([^?]*)(\?.*)?", self.path, re.DOTALL)
        token, place = match.group(1, 2) if match else ("", "")
        # As bytes: of text it compares ASCII only.
        right = hmac.compare_digest(token.encode(errors="replace"), self.server.token.encode())
        if not (here and right):
            raise _Refused(HTTPStatus.FORBIDDEN, "Forbidden.")
        return place

    def _get(self, place: str) -> _Answer:
        desk = self.server.desk
        if place == "":
            return _Answer(HTTPStatus.OK, desk.page(), "text/html; charset=utf-8", OF_PAGE)
        if place == "reviews":
            return _json(HTTPStatus.OK, desk.reviews())
        if match := re.fullmatch(r"faces/([0-9]{1,18})/history", place):
            return _json(HTTPStatus.OK, desk.history(int(match[1])))
        raise _Refused(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _post(self, place: str) -> _Answer:
        self._check_sender()
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A review is sent as application/json.")
        if place != "reviews":
            raise _Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
        return _json(HTTPStatus.OK, self.server.desk.add(*_judgement(self._body())))

    def _check_sender(self) -> None:
        """Only these pages may write.

        Raises:
            _Refused: the request comes from somewhere else, or does not say where from.
        """
        site, origin = self.headers.get("Sec-Fetch-Site"), self.headers.get("Origin")
        own = f"http://{self.headers['Host']}"
        # A browser may name no origin ("null") as the pages ask it to send no referrer.
        other = site not in (None, "same-origin") or origin not in (None, "null", own)
        if other or not (site == "same-origin" or origin == own) or self.headers["X-Femo"] != "review":
            raise _Refused(HTTPStatus.FORBIDDEN, "Forbidden.")

    def _body(self) -> bytes:
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or "Transfer-Encoding" in self.headers:
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "The request does not state its length.")
        if not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
            raise _Refused(HTTPStatus.BAD_REQUEST, "The length of the request is not a number.")
        length = int(lengths[0])
        if length > MAX_BODY:
            self.rfile.read(min(length, MAX_DROPPED))
            raise _Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A review has {MAX_BODY} bytes at most."
            )
        body = self.rfile.read(length)
        self.unread = False
        return body

    def _send(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", answer.policy)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.unread:
            self.send_header("Connection", "close")
        self.end_headers()
        for start in range(0, len(answer.body), CHUNK):  # patience is for a piece, not for the whole
            self.wfile.write(answer.body[start : start + CHUNK])

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses itself, such as a line that is no request."""
        self.unread = True
        self._send(_json(HTTPStatus(code), {"error": HTTPStatus(code).phrase}))

    def version_string(self) -> str:
        return "femo"

    def log_message(self, format: str, *args: Any) -> None:
        pass  # the audit table tells what was written


def _judgement(body: bytes) -> tuple[Judgement, Seen | None]:
    """What a request says, and on seeing what.

    Raises:
        UsageError: nothing that can be meant.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError("The request is not JSON.", "Send the review as one JSON object.") from error
    names = {"face_id", "verdict", "label", "note", "seen"}
    if not isinstance(value, dict) or not {"face_id", "verdict"} <= value.keys() <= names:
        raise UsageError(
            "A review needs face_id and verdict, and may have label, note and seen; nothing else.",
            "Send those, as the page does; docs/review.md explains them.",
        )
    seen = Seen(value.pop("seen")) if "seen" in value else None
    return Judgement(**value), seen
