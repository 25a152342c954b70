"""Where a model comes from: the command that trains it again, and the state of femo's source."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from forensic_emotion.emotions.card import RESTORE, ModelCard
from forensic_emotion.errors import ModelError
from forensic_emotion.settings import TrainSettings, option


@dataclass(frozen=True)
class Trained:
    """What a model's card says of its training, as far as another one depends on it."""

    data_sha256: str
    validation_share: float
    """Of Training, held out."""
    network: str
    certain: bool
    """Whether that holds of all that it was made from, see ``certain``."""


def lineage(facts: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A model's facts, and those of all that it was merged from, however deep."""
    yield facts
    for member in facts.get("members") or ():
        yield from lineage(member)


def certain(facts: Mapping[str, Any]) -> bool:
    """Whether no weights and no teachers behind a model are of other data, or of which nothing is told:
    those may have been fitted to what it is measured on."""
    behind = [
        each
        for model in lineage(facts)
        for each in (model.get("init"), *(model.get("teachers") or ()))
        if isinstance(each, dict)
    ]
    return not any(each.get("held_out") is False for each in behind)


def trained(card: ModelCard) -> Trained:
    """Read it from a card.

    Raises:
        ModelError: the card does not say it.
    """
    try:
        facts = card.facts
        share = float(facts["settings"]["validation_share"])
        network = str(facts["network"])
        return Trained(str(facts["data"]["sha256"]), share, network, certain(facts))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{card.folder / 'model.json'} does not say how the model was trained:"
            f" {type(error).__name__}: {error}.",
            RESTORE,
        ) from error


PACKAGE = Path(__file__).resolve().parents[1]


def command_line(
    source: Path,
    out: Path,
    settings: TrainSettings,
    ferplus: Path | None,
    init: Path | None,
    teachers: Sequence[Path],
) -> str:
    """The ``femo train`` command with every setting that is not its default; files by their names."""
    words = ["femo", "train", source.name, "--out", out.resolve().name]
    for flag, path in (("--ferplus", ferplus), ("--init", init)):
        words += [flag, path.name] if path else []
    for teacher in teachers:
        words += ["--distill", teacher.resolve().name]
    for spec in fields(TrainSettings):
        value = getattr(settings, spec.name)
        if value == spec.default:
            continue
        if isinstance(value, bool):
            words.append(option(spec.name if value else f"no_{spec.name}"))
        else:
            words += [option(spec.name), str(value)]
    return shlex.join(words)


def merge_line(
    folders: Sequence[Path],
    source: Path,
    out: Path,
    max_error: float,
    weights: bool,
    mirror_sizes: Sequence[float],
) -> str:
    """The ``femo merge`` command; files by their names."""
    names = [folder.resolve().name for folder in folders]
    words = ["femo", "merge", *names, "--data", source.name, "--out", out.resolve().name]
    words += ["--weights"] if weights else []
    for size in mirror_sizes:
        words += ["--mirror-size", str(size)]
    return shlex.join([*words, "--max-error", str(max_error)])


def commit() -> str | None:
    """The commit of the checkout that femo runs from, with ``+changes`` if its source was changed.

    None for an installed femo, which is no checkout.
    """
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top) / PACKAGE.name != PACKAGE:
        return None
    head = _git("rev-parse", "HEAD")
    return f"{head}+changes" if head and _git("status", "--porcelain", "--", "*.py") else head


def _git(*arguments: str) -> str | None:
    try:
        found = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
