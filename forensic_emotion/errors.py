"""What can go wrong → an error with its text, its remedy and the exit code of the command.

    FemoError                 1   the command could not do its job
    ├── UsageError            2   invalid option or argument
    ├── CaseError             1   the case file cannot be used
    ├── ModelError            1   a model's files are missing, damaged or do not fit together
    ├── MissingExtra          1   an optional library is not installed
    ├── DataError             1   a training or test set cannot be read
    └── EvidenceError         -   one piece of evidence: becomes a Problem, the scan goes on
        ├── UnreadableEvidence    the file system would not give the bytes
        ├── UndecodableMedia      the bytes are there, a picture could not be made of them
        └── NoPicture             a container without pictures, such as a sound recording

The library raises these; only ``forensic_emotion.cli`` turns them into words on a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a command's help needs errors, and not what records are made of
    from forensic_emotion.records import FileFacts


class FemoError(Exception):
    """The base of all errors that femo raises on purpose.

    Args:
        text: what is wrong, naming the file.
        remedy: what the user can do about it; empty if nothing.
    """

    exit_code = 1

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled as it is, whatever its class is made from: a worker sends it to its parent.
        return _made_again, (type(self), self.text, self.remedy)

    def __str__(self) -> str:
        return f"{self.text}\n{self.remedy}" if self.remedy else self.text


def _made_again(kind: type[FemoError], text: str, remedy: str) -> FemoError:
    error = kind.__new__(kind)
    FemoError.__init__(error, text, remedy)
    return error


class UsageError(FemoError):
    """The command was given an invalid option or argument."""

    exit_code = 2


class CaseError(FemoError):
    """The case file is missing, is no case, or comes from a newer femo."""


class ModelError(FemoError):
    """A model's files were missing, damaged, or did not fit together."""


class MissingExtra(FemoError):
    """A library of an optional extra was not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the optional extra '{extra}', which is not installed.",
            f"Install it with: pip install 'forensic-emotion[{extra}]'; in femo's own folder:"
            f" .venv/bin/pip install -e '.[{extra}]'",
        )


class DataError(FemoError):
    """A training or test set could not be read."""


class EvidenceError(FemoError):
    """One piece of evidence could not be taken in; the scan records it and goes on.

    Args:
        problem: the class of the problem, as it stands in the case (``problems.class``).
        text: what is wrong.
    """

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(text)
        self.problem = problem


class UnreadableEvidence(EvidenceError):
    """The file system did not give the bytes.

    Args:
        problem: see ``EvidenceError``.
        text: the same.
        facts: what it said of the file before a byte was read; None if the file was not opened.
    """

    def __init__(self, problem: str, text: str, facts: FileFacts | None = None) -> None:
        super().__init__(problem, text)
        self.facts = facts


class UndecodableMedia(EvidenceError):
    """The bytes were read, but no picture (or no further one) could be made of them."""


class NoPicture(EvidenceError):
    """The container was sound, but holds no pictures; the file is skipped, not failed."""
