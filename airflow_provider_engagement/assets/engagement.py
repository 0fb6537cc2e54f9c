"""Assets of the scheme ``engagement``: one for each table of a dataset.

A URI has the form ``engagement://<storage>/<path of the dataset>/<table>[/<granularity>]``, such as
``engagement://s3/warehouse/brand/tweet_metrics/hour`` or ``engagement://file/data/brand/tweet_totals``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow_provider_engagement.storage.user_information import (
    NO_CONNECTION,
    USE_CONNECTION,
    holds_secret,
    without_user,
)
from airflow_provider_engagement.tables.tables import TABLES

if TYPE_CHECKING:
    from airflow.sdk import Asset

SCHEME = "engagement"

_SAME_STORAGES: Mapping[str, str] = MappingProxyType(
    {"local": "file", "s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs"}
)
"""Schemes that are other names of a storage."""

_STORAGE = re.compile(r"[a-z][a-z0-9+.-]*")
_TEMPLATE = re.compile(r"\{[{%#]|[}%#]\}")


class AssetAddress(NamedTuple):
    """What the URI of an asset names.

    :param storage: the scheme of the storage, such as ``s3`` or ``file``.
    :param folder: the components of the path of the dataset. On an object store, the first is the bucket.
    :param table: the name of the table.
    :param granularity: the granularity of its rows, if the URI names one.
    """

    storage: str
    folder: tuple[str, ...]
    table: str
    granularity: str | None = None


def table_uri(dataset_path: str, table: str, granularity: str | None = None) -> str:
    """Return the URI of a table of a dataset. The same folder always has the same URI.

    :param dataset_path: the path or URL of the dataset folder, as for the operators. The user information of a URL is
        left out. Airflow takes it for the id of a connection, and the data does not depend on it.
    :param table: the name of the table.
    :param granularity: for ``tweet_metrics``: ``hour``, ``day`` or ``total``, or ``None`` for all of them.
    :raises ValueError: if the path is a template, is relative, can contain a secret, or has empty components, ``.`` or
        ``..``, or if there is no such table.
    """
    _reject_template(dataset_path, "dataset_path")
    if holds_secret(dataset_path):
        raise ValueError(f"dataset_path: {NO_CONNECTION}. {USE_CONNECTION}")
    scheme, separator, rest = dataset_path.partition("://")
    storage, path = (scheme.lower(), rest) if separator else ("file", dataset_path)
    storage = _SAME_STORAGES.get(storage, storage)
    if storage == "file":
        if not path.startswith("/"):
            raise ValueError(f"dataset_path: {dataset_path!r} is relative. An asset needs an absolute path or a URL.")
        components = path[1:].rstrip("/").split("/")
    else:
        authority, _, key = path.rstrip("/").partition("/")
        components = [authority.rpartition("@")[2], *(key.split("/") if key else [])]
    address = AssetAddress(storage, tuple(components), table, granularity)
    _check(address, shown=repr(dataset_path.partition("://")[0] + "://…" if separator else dataset_path))
    return _text(address)


def parse_uri(uri: str) -> AssetAddress:
    """Parse the URI of an asset.

    :param uri: the URI.
    :raises ValueError: if it does not have the form of this scheme.
    """
    return _parse(urlsplit(uri))


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check and normalize a URI for Airflow.

    :param uri: the components of the URI.
    :raises ValueError: if it does not have the form of this scheme.
    """
    return urlsplit(_text(_parse(uri)))


def create_asset(
    *, dataset_path: str, table: str, granularity: str | None = None, extra: dict[str, Any] | None = None
) -> Asset:
    """Return the asset of a table of a dataset. Use it in ``schedule``, ``inlets`` and ``outlets``.

    :param dataset_path: the path or URL of the dataset folder, as for the operators.
    :param table: the name of the table, such as ``tweet_totals``.
    :param granularity: for ``tweet_metrics``: ``hour``, ``day`` or ``total``.
    :param extra: what to attach to the asset.
    :raises ValueError: if the path is a template, is relative, or has empty components, ``.`` or ``..``, or if there is
        no such table.
    """
    from airflow.sdk import Asset

    return Asset(uri=table_uri(dataset_path, table, granularity), extra=extra)


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Any:
    """Return the OpenLineage data set of an asset.

    :param asset: an asset of this scheme.
    :param lineage_context: the hook or operator that uses the asset.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, name = lineage_name(parse_uri(asset.uri))
    return Dataset(namespace=namespace, name=name)


def lineage_name(address: AssetAddress) -> tuple[str, str]:
    """Return the namespace and the name that OpenLineage gives to the folder of a table."""
    table = [address.table, *([address.granularity] if address.granularity else [])]
    if address.storage == "file":
        return "file", "/" + "/".join([*address.folder, *table])
    return f"{address.storage}://{address.folder[0]}", "/".join([*address.folder[1:], *table])


def _parse(uri: SplitResult) -> AssetAddress:
    shown = repr(without_user(f"{uri.scheme}://{uri.netloc}{uri.path}"))
    _reject_template(uri.netloc + uri.path, "The asset URI")
    if uri.scheme != SCHEME:
        raise ValueError(f"{shown} does not start with {SCHEME}://.")
    if "@" in uri.netloc or ":" in uri.netloc:
        raise ValueError(f"{shown} contains user information or a port. Leave it out.")
    if uri.query or uri.fragment:
        raise ValueError(f"{shown} has a query or a fragment. Leave it out.")
    components = [unquote(component) for component in uri.path.lstrip("/").rstrip("/").split("/")]
    granularity = None
    if len(components) > 1 and components[-1] in _granularities_of(components[-2]):
        granularity = components.pop()
    storage = uri.netloc.lower()
    address = AssetAddress(_SAME_STORAGES.get(storage, storage), tuple(components[:-1]), components[-1], granularity)
    _check(address, shown=shown)
    return address


def _check(address: AssetAddress, *, shown: str) -> None:
    if not _STORAGE.fullmatch(address.storage):
        raise ValueError(f"{shown} does not name a storage such as s3, gs or file.")
    if address.table not in TABLES:
        known = ", ".join(TABLES)
        raise ValueError(f"{shown} names the table {address.table!r}. The tables are {known}.")
    if address.granularity is not None and address.granularity not in _granularities_of(address.table):
        raise ValueError(f"{shown}: {address.table} has no granularity {address.granularity!r}.")
    if not address.folder or not all(address.folder):
        raise ValueError(f"{shown} has an empty component. Name the folder of the dataset without doubled slashes.")
    for component in address.folder:
        if component in (".", ".."):
            raise ValueError(f"{shown} contains {component!r}. Write the path that it leads to.")
        if "/" in component:
            raise ValueError(f"{shown} contains an escaped slash.")


def _reject_template(text: str, what: str) -> None:
    if _TEMPLATE.search(text):
        raise ValueError(
            f"{what}: {text!r} is a template. An asset has a constant URI, because Airflow schedules by it."
        )


def _granularities_of(table: str) -> tuple[str, ...]:
    return TABLES[table].granularities if table in TABLES else ()


def _text(address: AssetAddress) -> str:
    components = [*address.folder, address.table, *([address.granularity] if address.granularity else [])]
    return f"{SCHEME}://{address.storage}/{'/'.join(quote(component, safe='') for component in components)}"
