"""``model.json`` → ModelCard: what a model is, what it was measured at, and the hashes of its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensic_emotion.chips import PREPROCESSING
from forensic_emotion.errors import ModelError
from forensic_emotion.hashes import file_sha256
from forensic_emotion.paths import written_whole

SHIPPED = Path(__file__).parent / "models"
"""One folder a shipped model."""
RESTORE = "Restore its folder, or choose another model; femo models lists the shipped ones."
"""What to do about a model whose files are not as its card says."""


@dataclass(frozen=True)
class ModelCard:
    """A model's folder, its ``model.json`` read and checked."""

    folder: Path
    facts: dict[str, Any]
    """``model.json`` as it stands; stored in the case with each run."""

    @property
    def name(self) -> str:
        return str(self.facts["name"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's probabilities."""
        return tuple(self.facts["labels"])

    @property
    def threshold(self) -> float:
        """A face is answered if its highest probability is above this; else it is ``uncertain``."""
        return float(self.facts["abstention"]["threshold"])

    @property
    def coverage(self) -> float:
        """Share of the held-out pictures that were answered at that threshold."""
        return float(self.facts["abstention"]["coverage"])

    @classmethod
    def find(cls, model: str | Path) -> ModelCard:
        """The card of a shipped model, by its name, or of a folder.

        Args:
            model: a path is a folder, also one that is called as a shipped model is.

        Raises:
            ModelError: there is none, or it cannot be used by this femo.
        """
        shipped = sorted(path.parent.name for path in SHIPPED.glob("*/model.json"))
        folder = SHIPPED / model if model in shipped else Path(model)
        path = folder / "model.json"
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            card = cls(folder, facts)
            complete = card.name and card.labels and facts["files"] and facts["preprocessing"]
            complete = complete and all(isinstance(each, dict) for each in facts["files"].values())
            complete = complete and all(isinstance(label, str) for label in card.labels)
            for split, figures in (facts.get("metrics") or {}).items():
                # Of the held-out part older cards give it without an interval, and nobody reports it.
                if split != "validation" and "accuracy" in figures:
                    for number in figures["accuracy"].values():
                        float(number)
            shares = {"threshold": card.threshold, "coverage": card.coverage}
        except NotADirectoryError as error:
            raise ModelError(
                f"{folder} is a file; a model is a folder with its card, model.json, and its weights.",
                f"Give the folder: {folder.parent}",
            ) from error
        except OSError as error:
            raise ModelError(
                f"There is no model {str(model)!r}: {path} cannot be read ({error.strerror}).",
                f"Shipped models: {', '.join(shipped) or 'none'}; or give a folder that femo train"
                " wrote."
                if isinstance(model, str)
                else "Give a folder that femo train wrote. The folders of shipped models: femo"
                " models --format json",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(
                f"{path} is not a model card: {type(error).__name__}: {error}.",
                RESTORE,
            ) from error
        if not complete:
            raise ModelError(
                f"{path} is not a model card: its name, classes, files or preprocessing are missing.",
                RESTORE,
            )
        if not _is_text(json.dumps(facts, ensure_ascii=False)):
            raise ModelError(
                f"{path} contains an unpaired surrogate (invalid Unicode), which a case cannot store.",
                RESTORE,
            )
        for what, share in shares.items():
            if not 0 <= share <= 1:
                raise ModelError(
                    f"{path} gives the {what} {share}, which is not between 0 and 1.",
                    RESTORE,
                )
        if facts["preprocessing"] != PREPROCESSING:
            raise ModelError(
                f"{path} requires preprocessing {facts['preprocessing']!r}; this femo has"
                f" {PREPROCESSING!r}.",
                "Use the femo that trained it, or retrain it.",
            )
        return card

    @classmethod
    def shipped(cls) -> list[ModelCard]:
        """The cards of the models that came with femo, by name."""
        return [cls.find(path.parent.name) for path in sorted(SHIPPED.glob("*/model.json"))]

    def licence(self) -> str:
        """The licence file, each paragraph on one line, or that there is none.

        All of it: what the weights were trained on may bind whoever uses them.
        """
        path = self.folder / "LICENSE"
        try:
            paragraphs = path.read_text(encoding="utf-8").split("\n\n")
            return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        except OSError:
            return f"no licence file in {self.folder}"

    def weights(self, name: str) -> tuple[Path, str]:
        """A file of the model and its SHA-256, checked against the card.

        Raises:
            ModelError: it is missing, not listed, or not the one that was measured.
        """
        path = self.folder / name
        try:
            found = file_sha256(path)
            listed = self.facts["files"][name]["sha256"]
        except OSError as error:
            raise ModelError(
                f"{path} cannot be read: {error.strerror}.",
                RESTORE,
            ) from error
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"{self.folder / 'model.json'} does not list {name}.",
                RESTORE,
            ) from error
        if found != listed:
            raise ModelError(
                f"{path} has SHA-256 {found}, its model.json says {listed}.",
                "The file was changed or damaged after it was measured; restore it.",
            )
        return path, found


def write_card(folder: Path, facts: dict[str, object]) -> None:
    """Write ``model.json``, whole or not at all.

    Raises:
        FemoError: it cannot be written; one that is there stays as it was.
    """
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    with written_whole(folder / "model.json", "model card") as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")


def _is_text(text: str) -> bool:
    """Whether a text can be written: JSON can spell half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
