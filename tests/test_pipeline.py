from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from forensic_emotion.errors import UndecodableMedia
from forensic_emotion.evidence import Found, discover
from forensic_emotion.hashes import unwatched
from forensic_emotion.pipeline import BATCH, NO_KNOWN_TYPE, Job, analyse, find_faces
from forensic_emotion.records import RGB, Box, Detection, Frame, FrameTime, Outcome
from tests.builders import (
    FakeClassifier,
    FakeDetector,
    encoded,
    fake_tools,
    picture,
    write_sound,
    write_video,
)

UNPACK = "not opened: unpack it and scan its contents"
MOUNT = "not opened: mount it read-only and scan its contents"
CONVERT = "not analysed: femo has no reader for it; convert a copy and scan that"


def look(path: Path, **changes: object) -> Outcome:
    (found,) = discover(path)
    return analyse(found, fake_tools(**changes), lambda _: False, lambda _: None)


def job(**changes: object) -> Job:
    return Job(Found(b"/", b"", 0), fake_tools(**changes), lambda _: None, unwatched)


def frames(n: int, faces: bool = True) -> Iterator[Frame]:
    image = picture(faces=[Box(10, 10, 30, 30)] if faces else [])
    for i in range(n):
        yield Frame(i, FrameTime(i * 10, Fraction(1, 1000)), image)


def test_a_picture_with_a_face(evidence: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    outcome = look(evidence / "p.png")
    assert outcome.state == "faces"
    assert (outcome.frames, outcome.faces, outcome.problems) == (1, 1, ())
    (result,) = outcome.results
    assert result.face.box == Box(20, 10, 60, 50)
    assert result.face.detector == "fake"
    assert (result.frame_index, result.time) == (0, None)
    assert (result.label, result.confidence) == ("happy", pytest.approx(0.4))
    assert sum(result.probabilities) == pytest.approx(1)
    assert result.thumbnail.startswith(b"\xff\xd8\xff")


def test_a_file_that_grew_since_it_was_listed_is_told(evidence: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture()))
    (found,) = discover(evidence)
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])) + bytes(9))
    outcome = analyse(found, fake_tools(), lambda _: False, lambda _: None)
    assert isinstance(outcome, Outcome)
    (problem,) = outcome.problems
    assert (problem.stage, problem.problem) == ("read", "changed")
    assert problem.message.startswith(f"changed between listing and opening: size {found.size} → ")
    assert (outcome.state, outcome.faces) == ("partial", 1)


def test_a_picture_without_a_face(evidence: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture()))
    outcome = look(evidence / "p.png")
    assert (outcome.state, outcome.frames, outcome.faces) == ("no_face", 1, 0)


def test_a_face_cut_by_the_border_is_kept_whole(evidence: Path) -> None:
    class OverTheBorder(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            boxes = [Box(-30, -20, 25, 35), Box(100, 60, 150, 110)]
            return [Detection(box, 1.0, box) for box in boxes]

    (evidence / "p.png").write_bytes(encoded(picture(120, 80)))
    outcome = look(evidence / "p.png", detector=OverTheBorder())
    boxes = [r.face.box for r in outcome.results]
    assert boxes == [Box(-30, -20, 25, 35), Box(100, 60, 150, 110)]
    assert [r.face.number for r in outcome.results] == [0, 1]


def test_faces_of_a_video_keep_index_and_time(evidence: Path) -> None:
    def draw(pts: int) -> RGB:
        return picture(faces=[Box(20, 10, 60, 50)] if pts < 2000 else [])

    write_video(evidence / "v.mkv", [0, 900, 1100, 2200, 3300], draw)
    outcome = look(evidence / "v.mkv")
    found = [(r.frame_index, r.time and r.time.seconds) for r in outcome.results]
    assert found == [(0, 0.0), (2, 1.1)]
    assert outcome.frames == 4


def test_faces_are_classified_in_batches_over_frames() -> None:
    classifier = FakeClassifier()
    results = list(find_faces(frames(2 * BATCH + 3), job(classifier=classifier)))
    assert classifier.batches == [BATCH, BATCH, 3]
    assert [r.frame_index for r in results] == list(range(2 * BATCH + 3))


def test_faces_found_before_an_error_come_before_it() -> None:
    def breaks_off() -> Iterator[Frame]:
        yield from frames(3)
        raise UndecodableMedia("damaged", "breaks off")

    results = find_faces(breaks_off(), job())
    assert [next(results).frame_index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UndecodableMedia):
        next(results)


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EAGAIN])
def test_no_room_for_a_thread_is_no_fault(evidence: Path, number: int) -> None:
    class Thirsty(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            raise OSError(number, "no")

    (evidence / "a.png").write_bytes(encoded(picture()))
    with pytest.raises(MemoryError):  # whoever runs it tries again in a fresh process
        look(evidence, detector=Thirsty())


def test_faces_found_before_a_fault_are_kept(evidence: Path) -> None:
    class FailsLater(FakeDetector):
        frames = 0

        def detect(self, image: RGB) -> list[Detection]:
            self.frames += 1
            if self.frames == 3:
                raise RuntimeError
            return super().detect(image)

    write_video(
        evidence / "v.mkv", [0, 1000, 2000, 3000], lambda _: picture(faces=[Box(20, 10, 60, 50)])
    )
    outcome = look(evidence / "v.mkv", detector=FailsLater())
    assert (outcome.state, outcome.frames, outcome.faces) == ("partial", 2, 2)
    assert "RuntimeError" in outcome.problems[-1].message


def test_a_damaged_file_fails_with_its_problem(evidence: Path) -> None:
    (evidence / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    outcome = look(evidence / "p.png")
    assert (outcome.state, outcome.frames) == ("failed", 0)
    assert [p.problem for p in outcome.problems] == ["damaged"]
    assert outcome.evidence is not None
    assert len(outcome.evidence.sha256) == 64


def test_a_picture_that_decodes_in_part_is_partial_and_its_face_is_kept(evidence: Path) -> None:
    image = picture(400, 400, [Box(20, 10, 60, 50)])
    image[200:] = np.random.default_rng(0).integers(0, 255, (200, 400, 3))
    data = encoded(image)
    (evidence / "p.png").write_bytes(data[: len(data) // 2])
    outcome = look(evidence / "p.png")
    assert (outcome.state, outcome.frames, outcome.faces) == ("partial", 1, 1)
    (problem,) = outcome.problems
    assert problem.problem == "truncated"
    rows = re.search(r"in part, (\d+) of 400 rows", problem.message)
    assert rows is not None
    assert 290 < int(rows[1]) < 310  # half of the noise, which is all but all of the file


def test_a_fault_in_a_library_costs_one_file_and_shows(evidence: Path) -> None:
    class Broken(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            raise RuntimeError("no luck")

    (evidence / "p.png").write_bytes(encoded(picture()))
    outcome = look(evidence / "p.png", detector=Broken())
    assert outcome.state == "failed"
    (problem,) = outcome.problems
    assert (problem.stage, problem.problem) == ("analyse", "fault")
    assert "RuntimeError: no luck" in problem.message


@pytest.mark.parametrize(
    ("name", "content", "reason", "problems"),
    [
        ("empty.jpg", b"", "empty: zero bytes", ["empty"]),
        ("empty", b"", "empty: zero bytes", ["empty"]),
        ("text.jpg", b"hello", NO_KNOWN_TYPE, ["not_media"]),
        ("text.txt", b"hello", NO_KNOWN_TYPE, []),
        ("a.zip", b"PK\x03\x04" + bytes(600), f"an archive or a document (ZIP), {UNPACK}", []),
        ("a.jpg", b"7z\xbc\xaf\x27\x1c", f"an archive (7z), {UNPACK}", ["not_media"]),
        (
            "a.raf",
            b"FUJIFILMCCD-RAW 0201",
            f"a camera's raw picture (Fujifilm), {CONVERT}",
            ["unsupported"],
        ),
        ("cctv", b"DHAV\xfd\x00", f"a recorder's video (Dahua), {CONVERT}", ["unsupported"]),
        ("scan", bytes(128) + b"DICM", f"a medical picture (DICOM), {CONVERT}", ["unsupported"]),
        (
            "c.svg",
            b'<?xml version="1.0"?>\n<!-- a -->\n<svg width="9">',
            "a drawing (SVG), not analysed: it is not a photograph, though it may contain one",
            [],
        ),
        ("page.html", b"<html><svg></svg></html>", NO_KNOWN_TYPE, []),
        ("d.E01", b"EVF\x09\r\n\xff\x00", f"a disk image (EnCase), {MOUNT}", ["not_looked_at"]),
        ("d.dd", bytes(510) + b"\x55\xaa", f"a disk image (raw), {MOUNT}", ["not_looked_at"]),
        (
            "v.001",
            b"\xeb\x52\x90NTFS    " + b"\xff" * 499 + b"\x55\xaa",
            f"a disk image (raw), {MOUNT}",
            ["not_looked_at"],
        ),
        (
            "chance.bin",
            b"\xff" * 510 + b"\x55\xaa",
            NO_KNOWN_TYPE,
            [],
        ),
    ],
)
def test_what_is_no_media_is_skipped_with_the_reason(
    evidence: Path, name: str, content: bytes, reason: str, problems: list[str]
) -> None:
    (evidence / name).write_bytes(content)
    outcome = look(evidence / name)
    assert outcome.state == "skipped"
    assert outcome.reason == reason
    assert [p.problem for p in outcome.problems] == problems
    assert outcome.evidence is not None, "its hash is known all the same"


def test_the_name_does_not_decide(evidence: Path) -> None:
    (evidence / "notes.txt").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    assert look(evidence / "notes.txt").state == "faces"


def test_sound_without_picture_is_skipped(evidence: Path) -> None:
    write_sound(evidence / "s.mp4")
    outcome = look(evidence / "s.mp4")
    assert (outcome.state, outcome.reason) == ("skipped", "holds no video stream")
    assert outcome.problems == ()
