"""An evaluation → one HTML page with its figures and pictures."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from forensic_emotion import __version__
from forensic_emotion.intervals import Interval
from forensic_emotion.pages import data_uri, render_page
from forensic_emotion.training.sources import LABELS

if TYPE_CHECKING:
    from forensic_emotion.training.evaluate import Evaluation

PICTURES = {
    "reliability.png": "Reliability: how often answers with a given score are right",
    "risk_coverage.png": "Risk and coverage: the error among answered faces, most confident first",
    "confusion_matrix.png": "Confusion matrix",
    "gallery.png": "Right answers above, wrong ones below",
}


def write_page(path: Path, about: dict[str, str], evaluation: Evaluation) -> None:
    """Write the page; the pictures it shows lie beside it already.

    Raises:
        OSError: it cannot be written.
    """
    values = {spec.name: getattr(evaluation, spec.name) for spec in fields(evaluation)}
    pictures = [
        (title, data_uri("image/png", (path.parent / name).read_bytes()))
        for name, title in PICTURES.items()
    ]
    shares = {"share": share, "labels": LABELS, "version": __version__}
    path.write_text(
        render_page("evaluation.html", {**values, **about, **shares, "pictures": pictures}),
        encoding="utf-8",
    )


def share(interval: Interval) -> str:
    """A share with its interval, for a table."""
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%}, n={interval.n})"
