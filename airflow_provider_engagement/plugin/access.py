"""What a user of Airflow can see: a DAG's pulls and datasets only with the right to read its XComs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, TypeVar

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_access_dag, requires_access_view
from airflow.models.dag import DagModel
from fastapi import Depends

from airflow_provider_engagement.plugin.manifests import FoundManifest, find_manifests
from airflow_provider_engagement.plugin.progress_states import UnfinishedPull, find_unfinished_pulls

CAN_SEE_PLUGINS = Depends(requires_access_view(AccessView.PLUGINS))
CAN_READ_DAG = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))


class OfDag(Protocol):
    """Something that belongs to a DAG."""

    @property
    def dag_id(self) -> str:
        """The DAG."""


OfDagT = TypeVar("OfDagT", bound=OfDag)


def readable_dags(user: Any) -> set[str]:
    """Return the DAGs that a user can read. Whether the user can read their XComs is another right."""
    return get_auth_manager().get_authorized_dag_ids(user=user)


def manifests_for(user: Any, since: datetime | None = None) -> list[FoundManifest]:
    """Return the manifests that a user can read, from the newest.

    :param user: the user.
    :param since: if set, only manifests that were written since then.
    """
    return _with_readable_xcoms(user, find_manifests(readable_dags(user), since=since))


def unfinished_pulls_for(user: Any) -> list[UnfinishedPull]:
    """Return the unfinished pulls that a user can see.

    :param user: the user.
    """
    return _with_readable_xcoms(user, find_unfinished_pulls(readable_dags(user)))


def _with_readable_xcoms(user: Any, found: list[OfDagT]) -> list[OfDagT]:
    readable = {dag_id for dag_id in {each.dag_id for each in found} if _can_read_xcoms(user, dag_id)}
    return [each for each in found if each.dag_id in readable]


def _can_read_xcoms(user: Any, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.XCOM, details=details, user=user
    )
