"""The progress bar of commands on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from airflow_provider_engagement.progress_bar import progress_bar


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_much_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    with progress_bar("pull [of a brand]", "requests") as move:
        assert move is not None
        move(30, 120)

    shown = terminal.getvalue()
    assert "pull [of a brand]" in shown
    assert "25%" in shown
    assert "30/120" in shown
    assert "requests" in shown


def test_a_file_or_a_pipe_gets_no_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    with progress_bar("pull", "requests") as move:
        assert move is None

    assert stream.getvalue() == ""
