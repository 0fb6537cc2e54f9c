"""A file of Tweet ids: decompressed and decoded within bounds, with the place of each value for errors."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.id_columns import IdColumns

FIELD = "tweets"

MAX_FILE_BYTES = 2**30
"""How large a file can be after decompression."""

MAX_RATIO = 200
"""How many times larger than the compressed file a large content can be. Ids and Tweets shrink to about a tenth."""

MAX_SMALL_FILE = 2**26
"""Up to how many bytes the content can be any number of times larger."""

MAX_LINE_LENGTH = 2**24
"""How many characters a line of text or a record of CSV can have."""

MAX_LINES = 10_000_000
"""How many lines a text can have, blank ones included: a small compressed file can contain any number of them."""

_GZIP_MAGIC = b"\x1f\x8b"
_WRONG_PATH = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
_BYTE_ORDER_MARKS = (
    # The mark of UTF-32 starts with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_NULS = (
    # Without a mark, a text starts with a digit, a letter or another ASCII sign, whose other bytes are zero.
    (re.compile(rb"[^\0]\0\0\0", re.DOTALL), "utf-32-le"),
    (re.compile(rb"\0\0\0[^\0]", re.DOTALL), "utf-32-be"),
    (re.compile(rb"[^\0]\0", re.DOTALL), "utf-16-le"),
    (re.compile(rb"\0[^\0]", re.DOTALL), "utf-16-be"),
)
_LONGEST_MARK = 4
_CONTAINERS = {
    b"PK\x03\x04": "a workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old workbook",
    b"\x1f\x8b": "compressed with gzip once more",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zX": "compressed with xz",
}
_SAVE = "Save the file as UTF-8"


class FoundId(NamedTuple):
    """A value that should be a Tweet id, and where it stands.

    :param value: the value.
    :param owner: the value of the owner, or ``None``.
    :param number: the number of the line or row, from 1.
    :param items: the number of the item in each list around the value, from the outer list to the inner one.
    """

    value: object
    owner: object
    number: int
    items: tuple[int, ...] = ()


def described_place(number: int, items: tuple[int, ...], unit: str = "line") -> str:
    """Return a place as an error names it, such as ``line 3, item 2``."""
    return ", ".join([f"{unit} {number}", *(f"item {item}" for item in items)])


@dataclass(frozen=True, slots=True)
class IdSource:
    """An open file.

    :param name: its path or URL.
    :param file: its content, decompressed.
    :param columns: the columns to read.
    """

    name: str
    file: io.BufferedReader
    columns: IdColumns

    def error(self, place: str, problem: str, remedy: str) -> InvalidQueryError:
        """Return an error that names the file and a place in it."""
        return InvalidQueryError(FIELD, f"{self.name}, {place}: {problem}", remedy)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines, with their ends, and their numbers from 1.

        :raises InvalidQueryError: if a line is too long, if there are too many lines, or if the file is not text in
            UTF-8, UTF-16 or UTF-32.
        """
        start = self.file.peek(_LONGEST_MARK)[:_LONGEST_MARK]
        encoding = _encoding_of(start)
        # Bytes that are not UTF-8 become surrogates, so that an error can name their line.
        is_utf_8 = encoding.startswith("utf-8")
        text = io.TextIOWrapper(self.file, encoding, errors="surrogateescape" if is_utf_8 else "strict")
        number = 0
        try:
            while line := text.readline(MAX_LINE_LENGTH + 1):
                number += 1
                if number > MAX_LINES:
                    raise self.too_large(f"line {number}", f"{MAX_LINES:,} lines")
                if len(line) > MAX_LINE_LENGTH:
                    raise self.too_large(f"line {number}", f"{MAX_LINE_LENGTH:,} characters")
                if is_utf_8 and not line.isascii():
                    line.encode()
                if "\0" in line:
                    problem = f"contains a NUL byte, which {_shown(encoding)} text does not"
                    raise self.error(f"line {number}", problem, f"{_SAVE}, or write it again if it is damaged.")
                yield number, line
        except UnicodeError as error:
            problem, remedy = _why_not(encoding, error, start)
            raise self.error(f"line {max(number, 1)}", problem, remedy) from None

    def too_large(self, place: str, bound: str) -> InvalidQueryError:
        """Return the error of a part that is too large."""
        return self.error(place, f"has more than {bound}", "Write one id on each line, or divide the file.")


def _encoding_of(start: bytes) -> str:
    """Return the encoding of a text, from its first bytes."""
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), None)
    return marked or next((name for nuls, name in _NULS if nuls.match(start)), "utf-8")


def _shown(encoding: str) -> str:
    return encoding.removesuffix("-sig").upper()


def _why_not(encoding: str, error: UnicodeError, start: bytes) -> tuple[str, str]:
    """Return why a text does not have its encoding, and what to do."""
    problem = f"is not {_shown(encoding)}"
    container = next((name for magic, name in _CONTAINERS.items() if start.startswith(magic)), None)
    if container is not None:
        return f"{problem} but {container}", "Unpack it, or export the sheet as CSV in UTF-8."
    if not isinstance(error, UnicodeEncodeError):
        return problem, f"{_SAVE}."
    byte = ord(error.object[error.start]) & 0xFF  # a surrogate, in place of the byte
    problem = f"{problem} (byte 0x{byte:02X}), but perhaps Windows-1252 or another encoding of one byte a character"
    return problem, f"{_SAVE}: in Excel, as the type CSV UTF-8."


@contextmanager
def path_errors(path: object) -> Iterator[None]:
    """Raise errors of the block that a wrong path causes as errors of the parameter. Errors of the storage stay.

    :param path: the file or folder.
    :raises InvalidQueryError: if it does not exist, if it cannot be read, or if the package of its storage is missing.
    """
    try:
        yield
    except FileNotFoundError:
        raise InvalidQueryError(FIELD, f"{path} does not exist", "Check the path.") from None
    except ImportError as error:
        problem = f"{path} cannot be read ({error})"
        raise InvalidQueryError(FIELD, problem, "Install the package of this storage on the workers.") from None
    except OSError as error:
        if error.errno not in _WRONG_PATH:
            raise
        raise InvalidQueryError(FIELD, f"{path} cannot be read ({error.strerror})", "Check the path.") from None


def decompressed(file: Any, name: str) -> tuple[io.BufferedReader, bool]:
    """Return the content of a file that can be compressed with gzip, and whether it is.

    :param file: the open file.
    :param name: its path or URL, for the error if its content is too large.
    """
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    # Without a buffer, a file of an object store reads a whole block for every line.
    buffered = io.BufferedReader(file)
    if magic != _GZIP_MAGIC:
        return buffered, False
    return io.BufferedReader(_Bounded(buffered, name), 2**16), True


class _Bounded(io.RawIOBase):
    """A compressed file that is read up to a bound, since a small file can contain any number of bytes."""

    def __init__(self, compressed: io.BufferedReader, name: str) -> None:
        self._compressed = compressed
        self._file = gzip.GzipFile(fileobj=compressed)
        self._name = name
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        self._read += len(content)
        if self._read > max(MAX_SMALL_FILE, MAX_RATIO * self._compressed.tell()):
            problem = f"{self._name} is more than {MAX_RATIO} times larger after decompression"
            raise InvalidQueryError(FIELD, problem, "Write the file without compression.")
        if self._read > MAX_FILE_BYTES:
            problem = f"{self._name} has more than {MAX_FILE_BYTES:,} bytes after decompression"
            raise InvalidQueryError(FIELD, problem, "Divide it into several files, and pass their folder.")
        buffer[: len(content)] = content
        return len(content)
