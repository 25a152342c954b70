"""A run → CASE/UCO 1.4 as JSON-LD, written node by node.

UCO has words for files, hashes, tools and classifications, and none for a face in a picture: a face is
an ``ObservableObject`` that is a ``femo:DetectedFace`` too, tied to its file by a relationship. Every
name of a node is made from what it stands for, so that the same run gives the same graph each time.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any, BinaryIO

from forensic_emotion import __version__
from forensic_emotion.case.listing import ListedFace, ListedFile
from forensic_emotion.export.job import Job
from forensic_emotion.export.words import (
    NAMESPACE,
    hex_if_not_text,
    model_line,
    origin_line,
    plain_json,
)
from forensic_emotion.moments import moment

ONTOLOGY = "https://ontology.unifiedcyberontology.org/uco"
CONTEXT = {
    "kb": f"{NAMESPACE}kb:",
    "femo": NAMESPACE,
    **{
        f"uco-{part}": f"{ONTOLOGY}/{part}/"
        for part in (
            *("core", "action", "analysis", "observable", "tool", "types", "configuration"),
            *("identity", "location"),
        )
    },
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
Node = dict[str, Any]

STATUS = {
    "running": "Ongoing",
    "done": "Complete/Finish",
    "interrupted": "Fail",
    "failed": "Fail",
}
"""State of a run → the word for it in UCO's ActionStatusTypeVocab, which has none for a stop."""
KINDS = {"l": "SymbolicLink", "p": "NamedPipe", "s": "Socket", "c": "CharacterDevice"}
"""How ``ls`` writes a type of file → UCO's class for it."""


def write(job: Job, out: BinaryIO) -> None:
    graph = _Graph(job)
    out.write(f'{{"@context":{plain_json(CONTEXT)},\n"@graph":[\n'.encode())
    out.write(plain_json(graph.tool()).encode())
    for node in chain(graph.about(), graph.nodes()):
        out.write(f",\n{plain_json(node)}".encode())
    # The action names all that it looked at and found: two lists too long to be gathered.
    head = plain_json(graph.action())
    out.write(f",\n{head[:-1]}".encode())
    for name, references in (
        ("uco-action:object", graph.objects()),
        ("uco-action:result", graph.results()),
    ):
        first = next(references, None)
        if first is None:
            continue
        out.write(f',"{name}":[{plain_json(first)}'.encode())
        for reference in references:
            out.write(f",\n{plain_json(reference)}".encode())
        out.write(b"]")
    out.write(b"}\n]}\n")


class _Graph:
    """The nodes of one run."""

    def __init__(self, job: Job) -> None:
        self._job = job
        run = job.run
        origin = f"{run.evidence_root_bytes.hex()} {run.started_at} {run.id} {run.model_sha256}"
        self._space = uuid.uuid5(uuid.NAMESPACE_URL, f"{NAMESPACE}{origin}")

    def _id(self, kind: str, *key: object) -> str:
        return f"kb:{kind}-{uuid.uuid5(self._space, ' '.join(map(str, (kind, *key))))}"

    def _node(self, prefix: str, kind: str, *key: object, **values: object) -> Node:
        """A node with its values, those without one left out; their names are of its own part of UCO."""
        told = {f"{prefix}:{name}": value for name, value in values.items() if value is not None}
        return {"@id": self._id(kind, *key), "@type": f"{prefix}:{kind}", **told}

    # ---- the tool and what it did ----------------------------------------------------------------

    def tool(self) -> Node:
        run = self._job.run
        settings = {
            "model.name": run.model_name,
            "model.sha256": run.model_sha256,
            "threshold": run.threshold,
            **{f"setting.{name}": value for name, value in run.settings.items()},
            **{f"version.{name}": value for name, value in run.versions.items()},
            **{f"machine.{name}": value for name, value in (run.machine or {}).items()},
        }
        entries = [
            self._node(
                *("uco-configuration", "ConfigurationEntry", name),
                itemName=name,
                itemValue=value if isinstance(value, str) else plain_json(value),
            )
            for name, value in settings.items()
            if value is not None
        ]
        return {
            "@id": self._id("AnalyticTool"),
            "@type": ["uco-tool:AnalyticTool", "uco-tool:ConfiguredTool"],
            "uco-core:name": "femo",
            "uco-tool:version": run.versions.get("femo", __version__),
            "uco-configuration:usesConfiguration": self._node(
                "uco-configuration", "Configuration", configurationEntry=entries
            ),
        }

    def action(self) -> Node:
        run = self._job.run
        times = {"startTime": _time(run.started_at), "endTime": _time(run.ended_at)}
        return {
            "@id": self._id("Analysis"),
            "@type": ["uco-analysis:Analysis", "case-investigation:InvestigativeAction"],
            "uco-core:name": "face detection and expression classification",
            "uco-core:description": f"{self._job.notice} {model_line(run)}. {origin_line(run)}.",
            **{f"uco-action:{name}": time for name, time in times.items() if time is not None},
            "uco-action:instrument": {"@id": self._id("AnalyticTool")},
            **({"uco-action:performer": {"@id": self._id("Identity")}} if run.examiner else {}),
            "uco-action:actionStatus": STATUS[run.state],
            "femo:runNumber": run.id,
            "femo:runState": run.state,
            "femo:host": run.host,
            "femo:account": run.user,
        }

    def about(self) -> Iterator[Node]:
        """The examiner, and the case that it was done for, as far as they were said."""
        run = self._job.run
        if run.examiner:
            yield self._node("uco-identity", "Identity") | {"uco-core:name": run.examiner}
        if run.case_number:
            yield {
                "@id": self._id("Investigation"),
                "@type": "case-investigation:Investigation",
                "uco-core:name": run.case_number,
                "uco-core:object": [{"@id": self._id("Analysis")}],
            }

    def objects(self) -> Iterator[Node]:
        yield {"@id": self._id("Directory")}
        for file in self._job.files():
            yield {"@id": self._id("File", file.path_bytes.hex())}

    def results(self) -> Iterator[Node]:
        for file in self._job.files():
            if file.same_as is None:
                for face in self._job.faces_of(file):
                    yield {"@id": self._id("AnalyticResult", *_key(face))}

    # ---- what it looked at -------------------------------------------------------------------------

    def nodes(self) -> Iterator[Node]:
        yield self._folder()
        for file in self._job.files():
            yield self._file(file)
            for face in self._job.faces_of(file):
                if file.same_as is None:  # the faces belong to the bytes, not to the path
                    yield self._face(file, face)
                    yield self._result(face)
                    yield self._of_face(face)
                yield self._relation(file, face)

    def _folder(self) -> Node:
        """What the paths of the files are below."""
        root = self._job.run.evidence_root
        facet = self._node("uco-observable", "FileFacet", "root", filePath=root, isDirectory=True)
        return {
            "@id": self._id("Directory"),
            "@type": "uco-observable:Directory",
            "uco-core:hasFacet": [facet],
            "femo:pathBytes": self._job.run.evidence_root_bytes.hex(),
        }

    def _file(self, file: ListedFile) -> Node:
        path = file.path_bytes.hex()
        makers: list[Callable[[ListedFile, str], Node | None]] = [
            self._file_facet,
            self._content_facet,
            self._picture_facet,
            self._exif_facet,
            self._place_facet,
        ]
        problems = [f"{p.stage}, {p.problem}: {p.message}" for p in file.problems]
        facts = {
            "femo:state": file.state,
            "femo:reason": file.reason,
            "femo:pathBytes": hex_if_not_text(file),
            "femo:recorded": file.recorded,
            "femo:recordedTag": file.recorded_tag,
            "femo:recordedZone": file.recorded_zone,
            "femo:zoneSource": file.zone_source,
            "femo:gpsAt": _time(file.gps_at),
            "femo:sameAs": file.same_as,
            "femo:notable": file.notable,
            "femo:known": file.known,
            "femo:mode": file.mode,
            "femo:linkTarget": file.link_target,
            "femo:problem": problems or None,
        }
        kind = "RasterPicture" if file.kind == "still" else KINDS.get((file.mode or "-")[0], "File")
        return {
            "@id": self._id("File", path),
            "@type": f"uco-observable:{kind}",
            "uco-core:hasFacet": [facet for make in makers if (facet := make(file, path)) is not None],
            **{name: value for name, value in facts.items() if value is not None},
        }

    def _file_facet(self, file: ListedFile, path: str) -> Node:
        return self._node(
            "uco-observable",
            "FileFacet",
            path,
            fileName=file.path.rpartition("/")[2],
            filePath=file.path,
            sizeInBytes=file.stat_size if file.size is None else file.size,
            observableCreatedTime=_time(file.born_at),
            modifiedTime=_time(file.modified_at),
            metadataChangeTime=_time(file.changed_at),
            accessedTime=_time(file.accessed_at),
        )

    def _content_facet(self, file: ListedFile, path: str) -> Node | None:
        if file.sha256 is None:
            return None
        hashes = [
            self._node(
                "uco-types",
                "Hash",
                path,
                method,
                hashMethod=method,
                hashValue={"@type": "xsd:hexBinary", "@value": value.upper()},
            )
            for method, value in (("SHA256", file.sha256), ("SHA1", file.sha1), ("MD5", file.md5))
            if value is not None
        ]
        return self._node(
            "uco-observable",
            "ContentDataFacet",
            path,
            mimeType=file.media_type,
            sizeInBytes=file.size,
            hash=hashes,
        )

    def _picture_facet(self, file: ListedFile, path: str) -> Node | None:
        if file.kind != "still" or file.width is None:
            return None
        size = {"pictureWidth": file.width, "pictureHeight": file.height}
        kind = (file.media_type or "").removeprefix("image/") or None
        return self._node("uco-observable", "RasterPictureFacet", path, **size, pictureType=kind)

    def _place_facet(self, file: ListedFile, path: str) -> Node | None:
        if file.latitude is None or file.longitude is None:
            return None
        place = {"latitude": _decimal(file.latitude), "longitude": _decimal(file.longitude)}
        return self._node("uco-location", "LatLongCoordinatesFacet", path, **place)

    def _exif_facet(self, file: ListedFile, path: str) -> Node | None:
        if not file.exif:
            return None
        entries = [
            self._node(
                "uco-types",
                "ControlledDictionaryEntry",
                path,
                key,
                key=key,
                value=value if isinstance(value, str) else plain_json(value),
            )
            for key, value in file.exif.items()
        ]
        exif = self._node("uco-types", "ControlledDictionary", path, entry=entries)
        return self._node("uco-observable", "EXIFFacet", path, exifData=exif)

    # ---- what it found -----------------------------------------------------------------------------

    def _face(self, file: ListedFile, face: ListedFace) -> Node:
        facts = {
            "boxLeft": face.left,
            "boxTop": face.top,
            "boxRight": face.right,
            "boxBottom": face.bottom,
            "stream": face.stream,
            "frameIndex": face.frame_index,
            "pts": face.pts,
            "timeBase": face.time_base,
            "seconds": None if face.seconds is None else _decimal(face.seconds),
            "track": face.track,
            "detector": face.detector,
            "detectorScore": _decimal(face.score),
            "label": face.label,
            "topClass": face.top_class,
            "faults": face.faults,
            "landmarks": plain_json(face.landmarks),
        }
        if face.review is not None:
            facts |= {
                "reviewVerdict": face.review.verdict,
                "reviewLabel": face.review.label,
                "reviewer": face.review.reviewer,
                "reviewedAt": _time(face.review.at),
                "reviewNote": face.review.note,
            }
        return {
            "@id": self._id("Face", *_key(face)),
            "@type": ["uco-observable:ObservableObject", "femo:DetectedFace"],
            "uco-core:name": f"face {face.face} in frame {face.frame_index} of {file.path}",
            **{f"femo:{name}": value for name, value in facts.items() if value is not None},
        }

    def _relation(self, file: ListedFile, face: ListedFace) -> Node:
        path = file.path_bytes.hex()
        return {
            "@id": self._id("ObservableRelationship", path, *_key(face)),
            "@type": "uco-observable:ObservableRelationship",
            "uco-core:source": {"@id": self._id("Face", *_key(face))},
            "uco-core:target": {"@id": self._id("File", path)},
            "uco-core:isDirectional": True,
            "uco-core:kindOfRelationship": "Contained_Within",
        }

    def _of_face(self, face: ListedFace) -> Node:
        """Ties a classification to its face in words of UCO alone."""
        return {
            "@id": self._id("Relationship", *_key(face)),
            "@type": "uco-core:Relationship",
            "uco-core:source": {"@id": self._id("AnalyticResult", *_key(face))},
            "uco-core:target": {"@id": self._id("Face", *_key(face))},
            "uco-core:isDirectional": True,
            "uco-core:kindOfRelationship": "Classification_Of",
        }

    def _result(self, face: ListedFace) -> Node:
        classes = [
            self._node(
                "uco-analysis",
                "ArtifactClassification",
                *_key(face),
                name,
                **{"class": name, "classificationConfidence": _decimal(probability)},
            )
            for name, probability in face.probabilities.items()
        ]
        return {
            "@id": self._id("AnalyticResult", *_key(face)),
            "@type": "uco-analysis:AnalyticResult",
            "uco-analysis:originatingAnalysis": {"@id": self._id("Analysis")},
            "uco-core:statement": self._job.notice,
            "femo:face": {"@id": self._id("Face", *_key(face))},
            "uco-core:hasFacet": self._node(
                "uco-analysis", "ArtifactClassificationResultFacet", *_key(face), classification=classes
            ),
        }


def _key(face: ListedFace) -> tuple[object, ...]:
    """What a face is told from all others of a run by."""
    return face.sha256, face.stream, face.frame_index, face.face


def _time(text: str | None) -> Node | None:
    """A time of a case as XML Schema has it; none where no calendar has it."""
    if text is None or moment(text, "Z") is None:
        return None
    return {"@type": "xsd:dateTime", "@value": text}


def _decimal(number: float) -> Node:
    """All its digits and no exponent, which decimals do not have."""
    return {"@type": "xsd:decimal", "@value": format(Decimal(repr(number)), "f")}
