"""Text that a spreadsheet shows as it is, and never executes as a formula."""

from __future__ import annotations

import re

_STARTS = "=+\\-@\u207a\u207b\u207c\u208a\u208b\u208c\u2212\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
"""The characters that begin a formula, also in the forms that input methods and fonts of other scripts have."""

_IGNORED = "\\s\"'\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
"""What a spreadsheet leaves out or trims in front of a formula: spaces of all kinds, controls, marks and quotes."""

_BEGIN = re.compile(f"(?=[\t\r\n]|[{_IGNORED}]*[{_STARTS}])[{_IGNORED}]*")
_SEPARATORS = ";|\t\n\v\f\r\u001c-\u001e\u0085\u2028\u2029"
# The time that this takes grows with the length of the text, whatever the text is.
_PART = re.compile(f"(?<![;|{_IGNORED}])[;|{_IGNORED}]++(?=[{_STARTS}])")
_SEPARATOR = re.compile(f"[{_SEPARATORS}]")


def inert(text: str) -> str:
    """Return a text with an apostrophe in front of each part that a spreadsheet would execute as a formula.

    A spreadsheet whose locale separates cells by semicolons makes several cells of one, as does one that reads tabs.
    Such a spreadsheet sees no quote in the middle of a line, so a line break begins a new row.

    :param text: the text of one cell of a CSV file.
    """
    begin = _BEGIN.match(text)
    if begin is None:
        return _PART.sub(_guarded, text)
    return f"'{begin[0]}" + _PART.sub(_guarded, text[begin.end() :])


def _guarded(part: re.Match[str]) -> str:
    return f"{part[0]}'" if _SEPARATOR.search(part[0]) else part[0]
