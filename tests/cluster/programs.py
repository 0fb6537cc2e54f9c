"""Programs that run beside each other: each in a session of its own, with a log file. None of them is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil


class ProgramError(Exception):
    """A program ended, failed, or did not do what was expected in time."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that can be started.

    :param command: the command and its arguments.
    :param folder: its working folder.
    :param environment: all of its environment variables.
    :param leftovers: files that it leaves outside of its folder if it is killed.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    leftovers: Sequence[Path] = ()


@dataclass
class Programs:
    """Running programs.

    Each program is the leader of a session. Airflow puts each task into a process group of its own, so only the session
    identifies all processes that a program started.

    :param logs: the folder of the log files.
    """

    logs: Path
    _started: dict[str, Program] = field(default_factory=dict)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, program: Program) -> None:
        """Start a program. Its output is appended to a log file."""
        self._started[name] = program
        program.folder.mkdir(parents=True, exist_ok=True)
        with self.log_file(name).open("ab") as output:
            self._processes[name] = subprocess.Popen(
                program.command,
                cwd=program.folder,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a program and all processes that it started, as a machine that fails does."""
        process = self._processes[name]
        # A process can start another one while this function looks for them.
        while found := _processes_of_session(process.pid):
            for process_id in found:
                with suppress(ProcessLookupError):
                    os.kill(process_id, signal.SIGKILL)
            process.poll()
            time.sleep(0.05)
        process.wait()
        del self._processes[name]
        for path in self._started[name].leftovers:
            path.unlink(missing_ok=True)

    def kill_all(self) -> None:
        """Kill all programs, the last one first."""
        for name in reversed(list(self._processes)):
            self.kill(name)

    def restart(self, name: str) -> None:
        """Start a program again that was started before. Kill it first if it still runs."""
        if name in self._processes:
            self.kill(name)
        self.start(name, self._started[name])

    def wait_for(self, expected: str, condition: Callable[[], bool], *, seconds: float, interval: float = 0.5) -> None:
        """Wait until a condition is true.

        :param expected: the condition in words, for the error.
        :param condition: returns whether to stop waiting.
        :param seconds: how long to wait at most.
        :param interval: the seconds between two calls of the condition.
        :raises ProgramError: if the time is up, or if a program ends.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise ProgramError(
                        f"{name} ended with status {process.returncode} before this was true: {expected}."
                        f"\n{self.end_of_log(name)}"
                    )
            if time.monotonic() > deadline:
                raise ProgramError(f"This was not true within {seconds:.0f} seconds: {expected}.")
            time.sleep(interval)

    def is_running(self, name: str) -> bool:
        """Return whether a program runs."""
        return name in self._processes and self._processes[name].poll() is None

    def ended(self) -> list[str]:
        """Return the programs that ended although nothing killed them."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def starter_of(self, process_id: int) -> str | None:
        """Return the program that started a process, or ``None`` if the process has ended or is not of a program."""
        with suppress(ProcessLookupError, PermissionError):
            session = os.getsid(process_id)
            return next((name for name, process in self._processes.items() if process.pid == session), None)
        return None

    def log_file(self, name: str) -> Path:
        """Return the path of the log file of a program."""
        return self.logs / f"{name}.log"

    def end_of_log(self, name: str, lines: int = 30) -> str:
        """Return the last lines of the log of a program."""
        text = self.log_file(name).read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def run(program: Program, *, seconds: float = 300.0) -> str:
    """Run a program until it ends, and return its output.

    :raises ProgramError: if it fails.
    """
    program.folder.mkdir(parents=True, exist_ok=True)
    completed = subprocess.run(
        program.command,
        cwd=program.folder,
        env=dict(program.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if completed.returncode:
        output = f"{completed.stdout}{completed.stderr}".strip().splitlines()[-30:]
        raise ProgramError("\n".join([f"{' '.join(program.command)} failed:", *output]))
    return completed.stdout


def free_ports(number: int) -> list[int]:
    """Return ports that no program listens on. They are all different, because they are reserved together."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for reserved in sockets:
            reserved.bind(("127.0.0.1", 0))
        return [reserved.getsockname()[1] for reserved in sockets]
    finally:
        for reserved in sockets:
            reserved.close()


def _processes_of_session(session: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found
