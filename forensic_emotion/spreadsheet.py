"""A value → a CSV cell that no spreadsheet takes for a formula and no terminal for a command.

A file's name, an EXIF tag or a decoder's message is text from evidence: a picture may be called
``=HYPERLINK("http://…")``. Everything that femo writes as CSV goes through ``cell``.
"""

from __future__ import annotations

import re

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
"""What a spreadsheet may take for the beginning of a formula, in full width too (see OWASP's "CSV
Injection"). And the apostrophe itself: taking one away wherever one stands gives the text back."""
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Control characters, without those that CSV itself keeps apart: tab and line breaks."""


def cell(value: object) -> object:
    """A value as it goes to ``csv.writer``.

    Text that begins as a formula does gets an apostrophe before it, which spreadsheets read as "this is
    text"; control characters are written out; bytes become hex. Numbers stay numbers, negative ones
    too.
    """
    if isinstance(value, bytes):
        return value.hex()
    if not isinstance(value, str):
        return value
    text = CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", value)
    return f"'{text}" if text.startswith(FORMULA) else text
