"""Airflow's public REST API: connections, pools, runs, backfills and task instances."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

_COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_PAGE = 100


@dataclass
class AirflowApi:
    """A client of the API server.

    :param address: the URL of the API server.
    """

    address: str
    _token: str | None = field(default=None, repr=False)

    def is_healthy(self) -> bool:
        """Return whether all components of Airflow work. The health does not include the workers."""
        try:
            health = requests.get(f"{self.address}/api/v2/monitor/health", timeout=10).json()
        except (requests.RequestException, ValueError):
            return False
        return all((health.get(name) or {}).get("status") == "healthy" for name in _COMPONENTS)

    def has_dags(self, *dag_ids: str) -> bool:
        """Return whether the DAGs are parsed."""
        known = {dag["dag_id"] for dag in self._call("GET", "/dags")["dags"]}
        return known.issuperset(dag_ids)

    def set_connection(self, connection_id: str, connection: Mapping[str, Any]) -> None:
        """Create a connection, or replace it.

        :param connection: in the form of ``AIRFLOW_CONN_…`` as JSON.
        """
        entity = {**connection, "connection_id": connection_id, "extra": json.dumps(connection["extra"])}
        self._call(
            "PATCH",
            "/connections",
            {"actions": [{"action": "create", "action_on_existence": "overwrite", "entities": [entity]}]},
        )

    def create_pool(self, name: str, slots: int) -> None:
        """Create a pool in which deferred tasks keep their slot."""
        self._call("POST", "/pools", {"name": name, "slots": slots, "include_deferred": True})

    def trigger(self, dag_id: str, interval: tuple[datetime, datetime] | None = None) -> None:
        """Start a run.

        :param interval: its data interval. If there is a run for it, do nothing. By default, the run has none.
        """
        body = {"logical_date": datetime.now(UTC).isoformat()}
        if interval is not None:
            start, end = (time.isoformat() for time in interval)
            body = {"logical_date": start, "data_interval_start": start, "data_interval_end": end}
        try:
            self._call("POST", f"/dags/{dag_id}/dagRuns", body)
        except requests.HTTPError as problem:
            # The response to an earlier call can have been lost.
            if interval is None or problem.response.status_code != requests.codes.conflict:
                raise

    def backfill(self, dag_id: str, first: datetime, last: datetime, *, max_active_runs: int) -> int:
        """Start a backfill, and return its id.

        :param first: the start of the first interval.
        :param last: the start of the last interval.
        :param max_active_runs: how many runs are active at the same time.
        """
        backfill = self._call(
            "POST",
            "/backfills",
            {
                "dag_id": dag_id,
                "from_date": first.isoformat(),
                "to_date": last.isoformat(),
                "max_active_runs": max_active_runs,
                "run_backwards": False,
                "reprocess_behavior": "none",
                "dag_run_conf": {},
            },
        )
        return int(backfill["id"])

    def count_runs(self, *states: str) -> int:
        """Return how many runs are in one of the states, or how many there are if no state is given."""
        query = "&".join(["limit=1", *(f"state={state}" for state in states)])
        return int(self._call("GET", f"/dags/~/dagRuns?{query}")["total_entries"])

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs of all DAGs."""
        return list(self._pages("/dags/~/dagRuns", "dag_runs"))

    def task_instances(self, *states: str) -> list[dict[str, Any]]:
        """Return the task instances of all runs that are in one of the states, or all if no state is given."""
        return list(self._pages("/dags/~/dagRuns/~/taskInstances", "task_instances", states))

    def _pages(self, path: str, name: str, states: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        offset = 0
        chosen = "".join(f"&state={state}" for state in states)
        while page := self._call("GET", f"{path}?limit={_PAGE}&offset={offset}{chosen}")[name]:
            yield from page
            offset += len(page)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if self._token is None:
            self._token = requests.get(f"{self.address}/auth/token", timeout=60).json()["access_token"]
        response = requests.request(
            method,
            f"{self.address}/api/v2{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=60,
        )
        if not response.ok:
            problem = f"{method} {path}: HTTP {response.status_code}: {response.text[:1000]}"
            raise requests.HTTPError(problem, response=response)
        return response.json()
