"""Evidence that wants the tool to fail: each path gets one state, nothing hangs, nothing is lost."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from forensic_emotion.case.store import CaseStore
from forensic_emotion.engine import Ended, find_evidence, scan
from forensic_emotion.evidence import Found
from forensic_emotion.isolation import Isolated, Limits
from forensic_emotion.pipeline import Tools
from forensic_emotion.records import STATES, Box, Outcome
from forensic_emotion.report.render import write_report
from forensic_emotion.settings import ReportSettings, ScanSettings
from tests.builders import FakeProgress, encoded, fake_run, fake_tools, picture, write_video
from tests.test_engine import rows

LIMITS = Limits(memory=2 << 30, patience=20.0)
FACE = picture(faces=[Box(20, 10, 60, 50)])
KINDS = ("jpg", "png", "tiff", "webp", "gif", "mp4", "mov", "mkv")


@cache
def sample(kind: str) -> bytes:
    """A small, sound file of a kind; with noise, so that its coded data are not all alike."""
    image = FACE.copy()
    image[:, :20] = np.random.default_rng(0).integers(0, 256, (80, 20, 3))
    if kind in ("mp4", "mov", "mkv"):
        path = Path(os.environ["FEMO_TEST_FOLDER"]) / f"sample.{kind}"
        return write_video(path, [0, 500, 1000], lambda _: image).read_bytes()
    if kind in ("gif", "tiff", "webp"):
        target = io.BytesIO()
        pages = [Image.fromarray(image), Image.fromarray(FACE)]
        pages[0].save(target, kind, save_all=True, append_images=pages[1:])
        return target.getvalue()
    return encoded(image, {"jpg": "JPEG"}.get(kind, kind.upper()))


def load() -> Tools:
    return fake_tools(settings=ScanSettings(max_pixels=4_000_000, every=0.4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("hostile")
    before = os.environ.get("FEMO_TEST_FOLDER")
    os.environ["FEMO_TEST_FOLDER"] = str(path)
    yield path
    del os.environ["FEMO_TEST_FOLDER"]
    if before is not None:
        os.environ["FEMO_TEST_FOLDER"] = before


@pytest.fixture(scope="module")
def analyser() -> Iterator[Isolated]:
    with Isolated(load, LIMITS) as made:
        yield made


def outcome_of(analyser: Isolated, folder: Path, content: bytes) -> Outcome:
    (folder / "fuzzed").write_bytes(content)
    found = Found(bytes(folder), b"fuzzed", len(content))
    return analyser.analyse(found, lambda _: False, lambda _: None)


def check(outcome: Outcome) -> None:
    assert outcome.state in ("faces", "no_face", "partial", "skipped", "failed"), outcome.problems
    assert outcome.evidence is not None
    assert (outcome.state in ("partial", "failed")) <= bool(outcome.problems)
    assert len(outcome.results) == outcome.faces
    for problem in outcome.problems:
        assert problem.problem != "fault", problem.message
        assert "\n" not in problem.message


@pytest.mark.slow
@given(
    kind=st.sampled_from(KINDS),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=12),
    kept=st.floats(0, 1),
    cut=st.booleans(),
)
@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_bytes_flipped_and_cut(
    analyser: Isolated, folder: Path, kind: str, flips: list[tuple[float, int]], kept: float, cut: bool
) -> None:
    content = bytearray(sample(kind))
    for place, change in flips:
        content[int(place * len(content))] ^= change
    if cut:
        content = content[: int(kept * len(content))]
    check(outcome_of(analyser, folder, bytes(content)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_cut_at_every_step(analyser: Isolated, folder: Path, kind: str) -> None:
    content = sample(kind)
    for length in range(0, len(content), max(1, len(content) // 60)):
        check(outcome_of(analyser, folder, content[:length]))


@pytest.mark.slow
@given(head=st.sampled_from(KINDS), tail=st.binary(max_size=400))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_head_with_anything_behind_it(
    analyser: Isolated, folder: Path, head: str, tail: bytes
) -> None:
    check(outcome_of(analyser, folder, sample(head)[:48] + tail))


NAMES = (
    b"\xff\xfe not utf-8.png",
    b"new\nline.png",
    "right\u202eto left gnp.png".encode(),
    b"<script>alert(1)<!--.png",
    b"'; DROP TABLE faces; --.png",
    b"=1+cmd|'calc'!A0.png",
    b"-rf.png",
    b"\x1b[2J.png",
    b" .png",
    b"a" * 250 + b".png",
)


@pytest.fixture
def tree(evidence: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that a folder can hold against its reader."""
    root = bytes(evidence)
    for number, name in enumerate(NAMES):
        image = FACE.copy()
        image[0, 0] = number  # so that each has other bytes
        with open(root + b"/" + name, "wb") as target:
            target.write(encoded(image))
    os.mkfifo(evidence / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server, monkeypatch.context() as there:
        there.chdir(evidence)  # the path of a socket is short
        server.bind("socket.png")
    (evidence / "loop").symlink_to(".")
    (evidence / "self.png").symlink_to("self.png")
    (evidence / "outside.jpg").symlink_to("/etc/hostname")
    (evidence / "zero.png").touch()
    (evidence / "text.jpg").write_text("no picture")
    with (evidence / "sparse.mp4").open("wb") as target:
        target.truncate(200 << 20)
    (evidence / "polyglot.jpg").write_bytes(sample("jpg") + b"PK\x03\x04" + bytes(100))
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    (evidence / "bomb.png").write_bytes(bomb.getvalue())
    for kind in KINDS:
        content = sample(kind)
        (evidence / f"cut.{kind}").write_bytes(content[: len(content) // 2])
    deep = root
    for _ in range(60):
        deep += b"/d"
        os.mkdir(deep)  # noqa: PTH102
    with open(deep + b"/deep.png", "wb") as target:
        target.write(encoded(FACE))
    return evidence


def test_a_hostile_tree_is_gone_through(tree: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    store = CaseStore(case)
    with Isolated(partial(load), LIMITS) as analyser:
        ended: Ended = scan(find_evidence(tree), store, fake_run(tree), [analyser], FakeProgress())
    store.close()
    states = dict(rows(case, "SELECT path_bytes, state FROM files"))
    assert len(states) == ended.summary.discovered == sum(ended.summary.states.values())
    assert set(states.values()) <= set(STATES)
    for name in NAMES:
        assert states[name] == "faces", name
    assert states[b"d/" * 60 + b"deep.png"] == "faces"
    for name in (b"pipe.jpg", b"socket.png", b"loop", b"self.png", b"outside.jpg", b"text.jpg"):
        assert states[name] == "skipped", name
    assert states[b"bomb.png"] == "failed"
    assert ended.summary.states["crashed"] == ended.summary.states["timeout"] == 0
    write_report(case, tmp_path / "report.html", None, ReportSettings())
    assert b"<script>alert" not in (tmp_path / "report.html").read_bytes()
