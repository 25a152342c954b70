"""What a model was measured at → what a report says of errors: how often, of which class, where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from forensic_emotion.case.queries import Counts
from forensic_emotion.intervals import Interval, wilson

COMMON, MOSTLY = "neutral", 0.85
"""Of an example that shows what the mix of classes does to the answers."""
FEWEST = 5
"""Test pictures of the common class with some answer, for that example to be about such answers."""


@dataclass(frozen=True)
class LabelCount:
    """How often an answer was given, and what such an answer was worth when measured."""

    label: str
    faces: int
    poor: int
    """Of them, those with a fault."""
    share: float
    """Of all faces, 0 to 1."""
    precision: float | None
    """Share of right ones among such answers on the test set."""
    answers: Interval | None
    """The same with its interval; None of a model that an older femo measured, which did not count."""
    recall: float | None
    """Share of the test faces labelled so that got this answer."""
    test_pictures: int | None
    """Labelled so in the test set."""


@dataclass(frozen=True)
class Rare:
    """The answers that are worth least where most faces are of one class, and the others are in the test
    set's proportions."""

    label: str
    right: float
    """Share of such answers that carry that label there."""
    common: str = COMMON
    mostly: float = MOSTLY
    """Share of the faces that are of that class."""


@dataclass(frozen=True)
class ErrorRate:
    """How often the model was wrong on pictures it had not seen."""

    split: str
    error: float
    low: float
    high: float
    """The 95 % interval of ``error``."""
    n: int
    confusion: list[list[int]]
    calibration_error: float | None
    """Expected calibration error on the same pictures, if the scores are calibrated."""
    answered: dict[str, Any] | None
    """Coverage and error at the model's threshold on the same pictures, with intervals."""
    caution: str | None
    """That the model may know these pictures, in a sentence."""
    without_twins: Interval | None
    """Share of right answers on those without a pixel-identical copy in the training data."""
    near: dict[str, Any] | None
    """The bin of ``reliability`` in which the threshold lies, where more answers are wrong."""
    reliability: list[dict[str, Any]]
    """``metrics.ReliabilityBin``; empty for a model measured by an older femo."""
    robustness: dict[str, dict[str, Any]]
    """Condition → share of right answers with its interval; ``answered`` too, but of an older femo."""
    wrong_by_class: list[tuple[str, Interval]]
    """Class → share of wrong ones among such answers; empty for a model measured by an older femo."""
    rare: Rare | None
    """An example of what the mix of classes does; None likewise."""
    degraded: dict[str, Any] | None
    """Of the conditions in which test pictures were made worse, the one with most wrong answers: its
    name, their share and its interval; None likewise."""


def label_counts(counts: Counts, metrics: dict[str, Any] | None) -> Iterator[LabelCount]:
    """Each label, and how such answers fared on test faces: one left uncertain is not found."""
    of_all = {c["label"]: c for c in (metrics or {}).get("classes", [])}
    answered = (metrics or {}).get("answered")
    of_answered = {c["label"]: c for c in answered.get("classes") or ()} if answered else of_all
    for label, faces in counts.labels.items():
        share = faces / counts.faces if counts.faces else 0.0
        poor = counts.poor[label]
        every = of_all[label]["n"] if label in of_all else None
        named = of_answered.get(label)
        if named is None or not every:
            yield LabelCount(label, faces, poor, share, None, None, None, every)
            continue
        right = round((named["recall"] or 0.0) * named["n"])
        answers = wilson(right, n) if (n := named.get("answered")) else None
        yield LabelCount(label, faces, poor, share, named["precision"], answers, right / every, every)


def error_rate_of(split: str, metrics: dict[str, Any] | None, *, calibrated: bool) -> ErrorRate | None:
    if metrics is None:
        return None
    accuracy = metrics["accuracy"]
    answered, reliability = metrics.get("answered"), metrics.get("reliability") or []
    robustness = metrics.get("robustness") or {}
    near = []
    if answered and answered["error"]:
        near = [
            b
            for b in reliability
            if b["low"] <= answered["threshold"] < b["high"]
            and 1 - b["right"]["value"] > answered["error"]["value"]
        ]
    twins = metrics.get("without_twins")
    return ErrorRate(
        split=split,
        error=1 - accuracy["value"],
        low=1 - accuracy["high"],
        high=1 - accuracy["low"],
        n=accuracy["n"],
        confusion=metrics.get("confusion") or [],
        calibration_error=metrics.get("ece") if calibrated else None,
        answered=answered,
        caution=metrics.get("caution"),
        without_twins=Interval(**twins["accuracy"]) if twins else None,
        near=near[0] if near else None,
        reliability=reliability,
        robustness=robustness,
        wrong_by_class=[
            (c["label"], Interval(**c["wrong"]))
            for c in (answered or {}).get("classes", ())
            if c.get("wrong")
        ],
        rare=_rare(metrics.get("classes") or [], (answered or {}).get("confusion")),
        degraded=_degraded(robustness),
    )


def _degraded(robustness: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The condition in which most answers are wrong, with that share and its interval."""
    errors = {name: (each.get("answered") or {}).get("error") for name, each in robustness.items()}
    told = [{"name": name, **error} for name, error in errors.items() if error]
    return max(told, key=lambda each: each["value"], default=None)


def _rare(classes: list[dict[str, Any]], confusion: list[list[int]] | None) -> Rare | None:
    """What the answers are worth if ``MOSTLY`` of the faces are of the class ``COMMON``.

    With shares w of the labels, w_c P(c|c) / Σ w_y P(c|y) of the answers c carry that label; P(c|y) is
    the share of the test pictures labelled y that are answered c.
    """
    labelled = {c["label"]: c["n"] for c in classes}
    if not confusion or not all(labelled.values()) or COMMON not in labelled:
        return None
    common = confusion[list(labelled).index(COMMON)]
    others = sum(labelled.values()) - labelled[COMMON]
    mix = {
        label: MOSTLY if label == COMMON else (1 - MOSTLY) * n / others for label, n in labelled.items()
    }
    found = []
    for column, label in enumerate(labelled):
        answers = {
            of: mix[of] * row[column] / labelled[of] for of, row in zip(labelled, confusion, strict=True)
        }
        if label != COMMON and common[column] >= FEWEST:
            found.append(Rare(label, answers[label] / sum(answers.values())))
    return min(found, key=lambda each: each.right, default=None)
