"""What tasks read and write, in the terms of OpenLineage. Nothing here needs its provider, except the conversion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_engagement.assets.engagement import lineage_name, parse_uri, table_uri
from airflow_provider_engagement.engagement_api.catalogue import ENDPOINTS, Endpoint
from airflow_provider_engagement.storage.user_information import without_user
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.tables import TABLES


@dataclass(frozen=True, slots=True)
class LineageData:
    """Something that a task reads or writes.

    :param namespace: where it is, such as ``s3://warehouse`` or ``file``.
    :param name: its name there.
    :param columns: the names and types of its columns, if it is a table.
    :param rows: how many rows the task wrote, if it wrote a table.
    """

    namespace: str
    name: str
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a task reads and writes."""

    inputs: tuple[LineageData, ...] = ()
    outputs: tuple[LineageData, ...] = ()


def pull_lineage(
    base_url: str, endpoint: str, *, dataset_path: str | None, granularity: str | None, rows: Mapping[str, int]
) -> Lineage:
    """Return the lineage of a pull: the endpoint of the API, and the tables of the dataset.

    :param base_url: the base URL of the API.
    :param endpoint: the endpoint.
    :param dataset_path: the path or URL of the dataset folder, if there is one.
    :param granularity: the granularity of the rows of ``tweet_metrics``.
    :param rows: how many rows the pull wrote, by table.
    """
    api = LineageData(base_url, ENDPOINTS[Endpoint(endpoint)].path.lstrip("/"))
    outputs = [
        table_data(dataset_path, table, granularity if table == "tweet_metrics" else None, rows=number)
        for table, number in rows.items()
        if dataset_path
    ]
    return Lineage((api,), tuple(outputs))


def top_tweets_lineage(dataset_path: str, table: str, granularity: str | None, files: Iterable[str]) -> Lineage:
    """Return the lineage of a ranking: the table that it reads, and the files that it writes."""
    source = table_data(dataset_path, table, granularity if table == "tweet_metrics" else None)
    return Lineage((source,), tuple(LineageData(*storage_name(path)) for path in files))


def load_lineage(
    dataset_path: str, rows: Mapping[str, int], *, namespace: str, database: str | None, schema: str
) -> Lineage:
    """Return the lineage of a load: the tables of the dataset, and those of the database.

    :param dataset_path: the path or URL of the dataset folder.
    :param rows: how many rows are new or changed, by table.
    :param namespace: the address of the database, such as ``postgres://host:5432``.
    :param database: the name of the database, if its tables are named with it.
    :param schema: the schema of the tables.
    """
    inputs = tuple(table_data(dataset_path, table) for table in rows)
    outputs = tuple(
        LineageData(
            namespace,
            ".".join(filter(None, (database, schema, table))),
            table_data(dataset_path, table).columns,
            number,
        )
        for table, number in rows.items()
    )
    return Lineage(inputs, outputs)


def table_data(
    dataset_path: str, table: str, granularity: str | None = None, *, rows: int | None = None
) -> LineageData:
    """Return a table of a dataset, under the same name as the asset of the table.

    :param dataset_path: the path or URL of the dataset folder.
    :param table: the name of the table.
    :param granularity: the granularity of its rows, if it has a folder of its own.
    :param rows: how many rows were written.
    """
    columns = {field.name: str(field.type) for field in arrow_schema(TABLES[table])} if table in TABLES else {}
    known = granularity if table in TABLES and granularity in TABLES[table].granularities else None
    try:
        namespace, name = lineage_name(parse_uri(table_uri(dataset_path, table, known)))
    except ValueError:
        # No asset can have a relative path. The worker knows what it is relative to.
        namespace, name = storage_name("/".join(filter(None, (dataset_path.rstrip("/"), table, known))))
    return LineageData(namespace, name, columns, rows)


def storage_name(path: str) -> tuple[str, str]:
    """Return the namespace and the name of a path or URL. The user information of a URL is left out."""
    parts = urlsplit(without_user(path))
    if parts.scheme in ("", "file", "local"):
        return "file", str(Path(parts.path).absolute())
    return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")


def to_openlineage(lineage: Lineage | None) -> Any:
    """Return the lineage as OpenLineage's provider expects it.

    :param lineage: the lineage, or ``None`` if the task has failed before it was known.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    if lineage is None:
        return OperatorLineage()
    return OperatorLineage(
        inputs=[_data_set(data) for data in lineage.inputs], outputs=[_data_set(data) for data in lineage.outputs]
    )


def _data_set(data: LineageData) -> Any:
    from airflow.providers.common.compat.openlineage.facet import (
        Dataset,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )

    facets: dict[str, Any] = {}
    if data.columns:
        columns = [SchemaDatasetFacetFields(name=name, type=kind) for name, kind in data.columns.items()]
        facets["schema"] = SchemaDatasetFacet(fields=columns)
    if data.rows is None:
        return Dataset(namespace=data.namespace, name=data.name, facets=facets)
    statistics: dict[str, Any] = {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=data.rows)}
    return OutputDataset(namespace=data.namespace, name=data.name, facets=facets, outputFacets=statistics)
