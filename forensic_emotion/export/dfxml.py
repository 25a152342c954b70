"""A run → Digital Forensics XML: files with hashes and times, their faces in a namespace of femo.

XML 1.0 has no way to write a control character; it and all that is invisible is written out
(``paths.visible``), and ``femo:pathBytes`` has the name itself.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import BinaryIO
from xml.sax.saxutils import XMLGenerator

from forensic_emotion import __version__
from forensic_emotion.case.listing import ListedFace, ListedFile
from forensic_emotion.export.job import Job
from forensic_emotion.export.words import NAMESPACE, hex_if_changed, plain_json
from forensic_emotion.moments import moment
from forensic_emotion.paths import visible

DFXML = "http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML"
DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
VERSION = "2.0.0-beta.0"

Value = str | int | float | None


def write(job: Job, out: BinaryIO) -> None:
    text = TextIOWrapper(out, encoding="utf-8", newline="\n")
    page = _Page(text)
    spaces = {"xmlns": DFXML, "xmlns:dc": DUBLIN_CORE, "xmlns:femo": NAMESPACE}
    with page.element("dfxml", version=VERSION, **spaces):
        with page.element("metadata"):
            page.leaf("dc:type", "Faces detected in files")
        _creator(page, job)
        with page.element("source"):
            page.leaf("image_filename", job.run.evidence_root)
        for file in job.files():
            _file(page, job, file)
        _run(page, job)
    page.end()
    text.flush()
    text.detach()


class _Page:
    """XML that is written as it comes."""

    def __init__(self, text: TextIOWrapper) -> None:
        self._writer = XMLGenerator(text, "utf-8", short_empty_elements=True)
        self._writer.startDocument()
        self._depth = 0

    @contextmanager
    def element(self, name: str, /, **attributes: Value) -> Iterator[None]:
        self._start(name, attributes)
        self._depth += 1
        yield
        self._depth -= 1
        self._break()
        self._writer.endElement(name)

    def leaf(self, name: str, value: Value, /, **attributes: Value) -> None:
        """An element with nothing but text; none if there is no value."""
        if value is None:
            return
        self._start(name, attributes)
        self._writer.characters(visible(str(value)))
        self._writer.endElement(name)

    def end(self) -> None:
        self._writer.endDocument()
        self._writer.characters("\n")

    def _start(self, name: str, attributes: dict[str, Value]) -> None:
        self._break()
        told = {key: visible(str(value)) for key, value in attributes.items() if value is not None}
        self._writer.startElement(name, told)  # type: ignore[arg-type]

    def _break(self) -> None:
        self._writer.characters("\n" + "  " * self._depth)


def _creator(page: _Page, job: Job) -> None:
    run = job.run
    with page.element("creator", version="1.0"):
        page.leaf("program", "femo")
        page.leaf("version", run.versions.get("femo", __version__))
        with page.element("execution_environment"):
            machine = run.machine or {"os_sysname": run.versions.get("system")}
            for name in ("os_sysname", "os_release", "os_version"):
                page.leaf(name, machine.get(name))
            page.leaf("host", run.host)
            page.leaf("arch", machine.get("arch"))
            page.leaf("command_line", shlex.join(run.arguments))
            page.leaf("uid", machine.get("uid"))
            page.leaf("username", run.user)
            page.leaf("start_time", run.started_at)
        for name, version in run.versions.items():
            page.leaf("library", "", name=name, version=version)


def _run(page: _Page, job: Job) -> None:
    run = job.run
    with page.element("femo:run", id=run.id, state=run.state, ended=run.ended_at):
        page.leaf("femo:notice", job.notice)
        page.leaf(
            "femo:model", run.model_name, sha256=run.model_sha256, threshold=_number(run.threshold)
        )
        page.leaf("femo:settings", plain_json(run.settings))


def _file(page: _Page, job: Job, file: ListedFile) -> None:
    """The order of the elements is that of the schema."""
    with page.element("fileobject"):
        page.leaf("filename", file.path)
        for problem in file.problems:
            page.leaf("error", f"{problem.stage}, {problem.problem}: {problem.message}")
        page.leaf("id", file.id)
        kind, permissions = _mode(file.mode)
        page.leaf("name_type", kind)
        page.leaf("filesize", file.stat_size if file.size is None else file.size)
        page.leaf("inode", file.inode)
        page.leaf("mode", permissions)
        page.leaf("uid", file.uid)
        page.leaf("gid", file.gid)
        for name, time in (
            ("mtime", file.modified_at),
            ("ctime", file.changed_at),
            ("atime", file.accessed_at),
            ("crtime", file.born_at),
        ):
            if time is not None and moment(time, "Z") is not None:
                page.leaf(name, time)
        page.leaf("link_target", file.link_target)
        for kind, value in (("md5", file.md5), ("sha1", file.sha1), ("sha256", file.sha256)):
            page.leaf("hashdigest", value, type=kind)
        page.leaf("femo:pathBytes", hex_if_changed(file))
        page.leaf("femo:mode", file.mode)
        page.leaf("femo:mediaType", file.media_type)
        page.leaf("femo:state", file.state)
        page.leaf("femo:reason", file.reason)
        page.leaf("femo:sameAs", file.same_as)
        page.leaf("femo:notable", file.notable)
        page.leaf("femo:known", file.known)
        page.leaf(
            "femo:recorded",
            file.recorded,
            tag=file.recorded_tag,
            zone=file.recorded_zone,
            zone_source=file.zone_source,
        )
        page.leaf("femo:gpsAt", file.gps_at)
        page.leaf("femo:latitude", _number(file.latitude))
        page.leaf("femo:longitude", _number(file.longitude))
        for face in job.faces_of(file):
            _face(page, face)


KINDS = {"-": "r", "l": "l", "p": "p", "s": "s", "c": "c", "b": "b", "d": "d"}
"""How ``ls`` writes a type of file → how the schema does."""


def _mode(text: str | None) -> tuple[str, int | None]:
    """Type of a file, and its permissions as a number, from its mode as ``-rw-r--r--``."""
    if text is None:
        return "-", None
    bits = 0
    for place, letter in enumerate(text[1:10]):
        bits |= (letter in "rwxst") << (8 - place)
        if letter in "sStT":  # stands where the right to execute does, of owner, group, others
            bits |= 0o4000 >> place // 3
    return KINDS.get(text[0], "-"), bits


def _face(page: _Page, face: ListedFace) -> None:
    place: dict[str, Value] = {
        "stream": face.stream,
        "frame": face.frame_index,
        "pts": face.pts,
        "timeBase": face.time_base,
        "seconds": _number(face.seconds),
        "number": face.face,
        "track": face.track,
        "left": face.left,
        "top": face.top,
        "right": face.right,
        "bottom": face.bottom,
        "detector": face.detector,
        "score": _number(face.score),
    }
    with page.element("femo:face", **place):
        page.leaf("femo:label", face.label, topClass=face.top_class, confidence=_number(face.confidence))
        for name, probability in face.probabilities.items():
            page.leaf("femo:score", _number(probability), **{"class": name})
        page.leaf("femo:faults", face.faults)
        page.leaf("femo:landmarks", plain_json(face.landmarks))
        if face.review is not None:
            page.leaf(
                "femo:review",
                face.review.note,
                verdict=face.review.verdict,
                label=face.review.label,
                reviewer=face.review.reviewer,
                at=face.review.at,
            )


def _number(value: float | None) -> str | None:
    return None if value is None else repr(value)
