"""What a user of Airflow can see: a DAG's pulls and datasets only with the right to read its XComs."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException

from airflow_provider_engagement.plugin.manifests import (
    FoundDataset,
    FoundManifest,
    find_datasets,
    find_manifests,
)
from airflow_provider_engagement.plugin.progress_states import UnfinishedPull, find_unfinished_pulls

DATASETS_OF_EACH_DAG = 50
"""How many datasets of a DAG are listed at most, from the one that was written last."""

REQUESTS_PER_USER = 40
"""How many requests of one user are answered at the same time. A page sends a dozen."""


def _check_page(user: GetUserDep) -> None:
    """Let a user see the page who can see plugins, or who can read a DAG: Airflow's viewers cannot see plugins."""
    if not get_auth_manager().is_authorized_view(access_view=AccessView.PLUGINS, user=user) and not readable_dags(user):
        raise HTTPException(403, "Forbidden")


_requests: Counter[str] = Counter()


async def _count_request(user: GetUserDep) -> AsyncIterator[None]:
    name = user.get_id()
    if _requests[name] >= REQUESTS_PER_USER:
        raise HTTPException(429, "You have too many open requests. Try again in a minute.", {"Retry-After": "60"})
    _requests[name] += 1
    try:
        yield
    finally:
        _requests[name] -= 1


CAN_SEE_PAGE = Depends(_check_page)
CAN_SEND_MORE = Depends(_count_request)
CAN_READ_DAG = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))


def readable_dags(user: Any) -> set[str]:
    """Return the DAGs that a user can read. Whether the user can read their XComs is another right."""
    return get_auth_manager().get_authorized_dag_ids(user=user)


def datasets_for(user: Any) -> tuple[list[FoundDataset], int]:
    """Return the datasets that a user can read, from the one that was written last, and how many are left out."""
    datasets, left_out = find_datasets(readable_dags(user), of_each_dag=DATASETS_OF_EACH_DAG)
    readable = _with_readable_xcoms(user, {dataset.dag_id for dataset in datasets})
    return [dataset for dataset in datasets if dataset.dag_id in readable], left_out


def manifests_for(user: Any, since: datetime) -> list[FoundManifest]:
    """Return the manifests that a user can read, from the newest.

    :param since: only manifests that were written since then are returned.
    """
    manifests = find_manifests(readable_dags(user), since=since)
    readable = _with_readable_xcoms(user, {manifest.dag_id for manifest in manifests})
    return [manifest for manifest in manifests if manifest.dag_id in readable]


def unfinished_pulls_for(user: Any) -> list[UnfinishedPull]:
    """Return the unfinished pulls that a user can see."""
    pulls = find_unfinished_pulls(readable_dags(user))
    readable = _with_readable_xcoms(user, {pull.dag_id for pull in pulls})
    return [pull for pull in pulls if pull.dag_id in readable]


def _with_readable_xcoms(user: Any, dag_ids: Collection[str]) -> set[str]:
    teams = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))
    manager = get_auth_manager()
    return {
        dag_id
        for dag_id in dag_ids
        if manager.is_authorized_dag(
            method="GET",
            access_entity=DagAccessEntity.XCOM,
            details=DagDetails(id=dag_id, team_name=teams.get(dag_id)),
            user=user,
        )
    }
