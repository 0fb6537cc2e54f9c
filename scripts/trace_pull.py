"""Count the files of this package on the way of one Tweet's pull, and the moves between them.

The pull is a task of one day, against the simulator in the same process. A move is a call that leaves a file for
another one. The simulator does not count. ``--way`` prints the files in the order
in which the pull first enters them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import airflow_provider_engagement
from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.simulator import Clock, Simulator, World

PACKAGE = f"{Path(airflow_provider_engagement.__file__).parent}/"
SIMULATOR = f"{PACKAGE}simulator/"
MOST_ENTERED = 10


class Trace:
    """Counts how often calls enter each file. Use it as a profile function of Python, in the threads of a pull."""

    def __init__(self) -> None:
        self.entered: Counter[str] = Counter()
        self.moves = 0
        self._of_thread = threading.local()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """Count a call, if it enters another file than the last call of its thread."""
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE) or code.co_filename.startswith(SIMULATOR):
            return
        thread = threading.current_thread()
        is_of_pull = thread is threading.main_thread() or thread.name.startswith("engagement")
        if not is_of_pull:
            return
        file = code.co_filename.removeprefix(PACKAGE)
        last = getattr(self._of_thread, "file", None)
        self._of_thread.file = file
        if file != last:
            self.entered[file] += 1
            self.moves += last is not None


def trace_pull(folder: Path) -> Trace:
    """Pull one Tweet twice, and return what was counted the second time, when every module is loaded.

    :param folder: an empty folder.
    """
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world = World.generate(seed=1, handles=1, tweets=20, end=end, start=end - timedelta(days=20))
    (author,) = world.handles.values()
    trace = Trace()
    with Simulator(world, clock=Clock(datetime.now(UTC))) as simulator:
        extra = {
            "api_key": world.app.consumer_key,
            "api_key_secret": world.app.consumer_secret,
            "access_token": author.access_token,
            "access_token_secret": author.access_token_secret,
        }
        connection = {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
        os.environ["AIRFLOW_CONN_ENGAGEMENT_DEFAULT"] = json.dumps(connection)
        tweet_ids = world.tweets_of(author.user_id)[:1]
        context = context_of_day(end)
        for name in ("first", "second"):
            operator = EngagementHistoricalOperator(task_id="pull", tweets=tweet_ids, dataset_path=str(folder / name))
            operator.render_template_fields(context)
            profile = trace if name == "second" else None
            threading.setprofile(profile)  # type: ignore[arg-type]  # None is documented
            sys.setprofile(profile)
            try:
                operator.execute(context)
            finally:
                sys.setprofile(None)
                threading.setprofile(None)  # type: ignore[arg-type]
    return trace


def context_of_day(end: datetime) -> Any:
    """Return Airflow's context of the run of a day."""
    run_id = f"scheduled__{end:%Y-%m-%d}"
    task_instance = SimpleNamespace(
        dag_id="trace",
        task_id="pull",
        run_id=run_id,
        map_index=-1,
        try_number=1,
        start_date=datetime.now(UTC),
        get_first_reschedule_date=lambda context: None,
        xcom_push=lambda key, value: None,
    )
    return {
        "ti": task_instance,
        "run_id": run_id,
        "dag_run": SimpleNamespace(run_id=run_id, run_after=end, run_type="scheduled", partition_key=None),
        "data_interval_start": end - timedelta(days=1),
        "data_interval_end": end,
        "params": {},
    }


def main() -> None:
    """Print the numbers, and the files that the pull enters most often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", action="store_true", help="print each file once, in the order of the pull")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace = trace_pull(Path(folder))
    print(f"{len(trace.entered)} files, {trace.moves} moves between them")
    shown = trace.entered.items() if options.way else trace.entered.most_common(MOST_ENTERED)
    for file, number in shown:
        print(f"{number:6} {file}")


if __name__ == "__main__":
    main()
