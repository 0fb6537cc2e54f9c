"""Pulls in processes of their own, which can be killed at any of their steps.

A step is an operation that Python's audit events report: a file that is opened, moved or deleted, a connection, a
request, or a commit to a Delta table. The same pull has about the same steps every time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.operators import execution
from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.tables import delta_table
from airflow_provider_engagement.tables.delta_log import DeltaLog

CONCURRENT_REQUESTS = 2
COMMITTING, COMMITTED = "committing", "committed"
"""The phases that begin with the first and after the last instruction of a commit to a Delta table."""
SECONDS = 900.0
"""How long a pull may take."""

FORK = get_context("fork")

IMPORTED_BEFORE_THE_FORK = (execution, delta_table)
"""Modules that an operator imports when it is executed. A forked pull starts at once."""


@dataclass(frozen=True, kw_only=True)
class Pull:
    """The pull of one day of one owner.

    :param owner: the name of the owner, which is that of the task.
    :param connection: the Airflow connection of the owner.
    :param tweet_ids: the Tweets.
    :param day: the start of the day.
    :param folder: the folder of the dataset.
    :param dataset_format: the format of the dataset.
    """

    owner: str
    connection: dict[str, Any]
    tweet_ids: tuple[str, ...]
    day: datetime
    folder: Path
    dataset_format: str

    def execute(self) -> dict[str, Any]:
        """Execute the operator as Airflow does, and return its manifest."""
        os.environ["AIRFLOW_CONN_ENGAGEMENT_DEFAULT"] = json.dumps(self.connection)
        run_id = f"scheduled__{self.day:%Y-%m-%d}"
        operator = EngagementHistoricalOperator(
            task_id=self.owner,
            tweets=list(self.tweet_ids),
            dataset_path=str(self.folder),
            dataset_format=self.dataset_format,
            limits=Limits(concurrent_requests=CONCURRENT_REQUESTS),
        )
        task_instance = SimpleNamespace(
            task_id=self.owner,
            dag_id="chaos",
            run_id=run_id,
            map_index=-1,
            start_date=datetime.now(UTC),
            get_first_reschedule_date=lambda context: None,
        )
        end = self.day + timedelta(days=1)
        dag_run = SimpleNamespace(run_id=run_id, run_after=end, run_type="scheduled", partition_key=None)
        context: Any = {
            "ti": task_instance,
            "run_id": run_id,
            "dag_run": dag_run,
            "data_interval_start": self.day,
            "data_interval_end": end,
        }
        manifest: dict[str, Any] = operator.execute(context)
        return manifest


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a process kills itself.

    :param step: the number of the step before which it does so.
    :param phase: the phase before whose first step it does so, if it does not count steps.
    :param later: how many seconds after the beginning of the phase it does so instead.
    """

    step: int | None = None
    phase: str | None = None
    later: float = 0.0

    def arrive(self, number: int, phase: str) -> None:
        """Kill the process if this is the moment.

        :param number: the number of the step that comes next.
        :param phase: its phase.
        """
        if number != self.step and phase != self.phase:
            return
        if self.later:
            # The kernel ends the process wherever it is, also within compiled code.
            signal.setitimer(signal.ITIMER_REAL, self.later)
        else:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a pull ended.

    :param succeeded: whether it returned a manifest.
    :param steps: the phase of each step.
    :param problem: the error, if there is one.
    """

    succeeded: bool
    steps: tuple[str, ...]
    problem: str = ""

    @property
    def last_phase(self) -> str:
        """The phase of the last step."""
        return self.steps[-1] if self.steps else "starting"


class RunningPull:
    """A pull in another process.

    :param pull: the pull.
    :param kill_at: when the process kills itself; ``None`` to not do so.
    """

    def __init__(self, pull: Pull, *, kill_at: Moment | None = None) -> None:
        self._receiver, sender = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=_run, args=(pull, kill_at, sender))
        self._process.start()
        sender.close()

    def wait(self) -> Ended:
        """Wait until the pull ends, and return how."""
        steps, problem, succeeded = [], "", False
        while True:
            try:
                if not self._receiver.poll(SECONDS):
                    self._process.kill()
                    problem = f"It did not end within {SECONDS:.0f} s."
                    break
                kind, text = self._receiver.recv()
            except EOFError:
                break
            if kind == "step":
                steps.append(text)
            elif kind == "failed":
                problem = text
            else:
                succeeded = True
        self._process.join()
        return Ended(succeeded=succeeded, steps=tuple(steps), problem=problem)


def _run(pull: Pull, kill_at: Moment | None, sender: Connection) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # The log of Airflow tells nothing that the result does not tell.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    with _reported_steps(pull.folder, kill_at, sender):
        try:
            pull.execute()
        except BaseException:
            sender.send(("failed", traceback.format_exc(limit=-3)))
        else:
            sender.send(("succeeded", ""))
    sender.close()
    # Without the handlers of the parent's libraries.
    os._exit(0)


@contextmanager
def _reported_steps(folder: Path, kill_at: Moment | None, sender: Connection) -> Iterator[None]:
    number = 0
    is_active = True

    def step(phase: str) -> None:
        nonlocal number
        number += 1
        if kill_at is not None:
            kill_at.arrive(number, phase)
        sender.send(("step", phase))

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if is_active and (phase := _phase(event, arguments, folder)):
            step(phase)

    fetch, commit = EngagementClient.fetch, DeltaLog.commit

    def audited_commit(log: DeltaLog, **change: Any) -> bool:
        sys.audit(f"chaos.{COMMITTING}")
        committed = commit(log, **change)
        if committed:
            sys.audit(f"chaos.{COMMITTED}")
        return committed

    def audited_fetch(client: EngagementClient, request: Any) -> Any:
        sys.audit("chaos.fetching")
        response = fetch(client, request)
        sys.audit("chaos.fetching")
        return response

    DeltaLog.commit = audited_commit  # type: ignore[method-assign]
    EngagementClient.fetch = audited_fetch  # type: ignore[method-assign]
    sys.addaudithook(audit)
    try:
        yield
    finally:
        is_active = False


def _phase(event: str, arguments: tuple[Any, ...], folder: Path) -> str | None:
    """Return what a pull is doing, from an audit event; ``None`` if the event is no step."""
    if event.startswith("chaos."):
        return event.removeprefix("chaos.")
    if event not in ("open", "os.rename", "os.remove", "os.mkdir"):
        return None
    path = str(arguments[1] if event == "os.rename" else arguments[0])
    if path.startswith(str(folder)):
        below = path.removeprefix(str(folder))
        if "_responses" in below:
            return "storing"
        return "publishing" if "tweet_metrics" in below else "writing"
    return "staging" if "/engagement-" in path else None
