"""A value → a CSV cell that no spreadsheet takes for a formula and no terminal for a command.

A file's name, an EXIF tag or a decoder's message is text from evidence: a picture may be called
``=HYPERLINK("http://…")``. Everything that femo writes as CSV goes through ``cell``.
"""

from __future__ import annotations

import re

from forensic_emotion.paths import visible

FORMULA = re.compile(r"(?:\A|(?<=[;|]))(?=[=+\-@＝＋－＠'])")
"""Before what a spreadsheet may take for the beginning of a formula, in full width too (see OWASP's "CSV
Injection"): at the start of a cell, and behind what it may take for the end of one. And before the
apostrophe itself: taking away one at each of these places gives the text back."""


def cell(value: object) -> object:
    """A value as it goes to ``csv.writer``.

    What is invisible in text is written out: control characters, for some readers take them for the end
    of a cell, and marks that turn the direction of reading. Text that begins as a formula does gets an
    apostrophe before it, which spreadsheets read as "this is text", and so does such a part behind a
    semicolon or a bar. Bytes become hex. Numbers stay numbers, negative ones too.
    """
    if isinstance(value, bytes):
        return value.hex()
    if not isinstance(value, str):
        return value
    return FORMULA.sub("'", visible(value))
