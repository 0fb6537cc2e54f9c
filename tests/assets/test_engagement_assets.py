"""Assets of the scheme ``engagement``, alone and in Airflow."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from airflow.sdk import Asset
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.assets.engagement import (
    convert_asset_to_openlineage,
    create_asset,
    parse_uri,
    sanitize_uri,
    table_uri,
)


@pytest.mark.parametrize(
    ("dataset_path", "table", "granularity", "uri"),
    [
        ("s3://bucket/brand", "tweet_metrics", "hour", "engagement://s3/bucket/brand/tweet_metrics/hour"),
        ("s3://aws@bucket/brand/", "tweet_metrics", "day", "engagement://s3/bucket/brand/tweet_metrics/day"),
        ("s3a://bucket/brand", "tweet_metrics", None, "engagement://s3/bucket/brand/tweet_metrics"),
        ("gs://bucket", "tweet_status", None, "engagement://gs/bucket/tweet_status"),
        ("abfss://container/a b", "coverage", None, "engagement://abfs/container/a%20b/coverage"),
        ("/data/brand", "tweet_totals", None, "engagement://file/data/brand/tweet_totals"),
        ("file:///data/brand/", "tweet_totals", None, "engagement://file/data/brand/tweet_totals"),
        ("FILE:///data/a?b#c", "tweet_totals", None, "engagement://file/data/a%3Fb%23c/tweet_totals"),
        ("sftp://conn@host:22/x", "restatements", None, "engagement://sftp/host%3A22/x/restatements"),
    ],
)
def test_each_table_of_a_dataset_has_one_uri(dataset_path: str, table: str, granularity: str | None, uri: str) -> None:
    asset = create_asset(dataset_path=dataset_path, table=table, granularity=granularity, extra={"team": "social"})

    assert table_uri(dataset_path, table, granularity) == uri
    assert (asset.uri, asset.extra) == (uri, {"team": "social"})


@pytest.mark.parametrize(
    ("dataset_path", "problem"),
    [
        ("s3://bucket/{{ ds }}", "is a template"),
        ("s3://bucket/{% if x %}a{% endif %}", "is a template"),
        ("data/brand", "is relative"),
        ("", "is relative"),
        ("/", "empty component"),
        ("s3://", "empty component"),
        ("s3://bucket//brand", "empty component"),
        ("/data/../brand", "contains '..'"),
        ("s3://bucket/./brand", "contains '.'"),
        ("://bucket/brand", "does not name a storage"),
    ],
)
def test_a_path_without_a_constant_address_is_rejected(dataset_path: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        table_uri(dataset_path, "tweet_totals")


@pytest.mark.parametrize(("table", "granularity"), [("tweets", None), ("tweet_totals", "hour"), ("tweet_metrics", "x")])
def test_a_table_that_no_dataset_has_is_rejected(table: str, granularity: str | None) -> None:
    with pytest.raises(ValueError, match=r"The tables are|has no granularity"):
        table_uri("/data", table, granularity)


def test_an_error_does_not_show_a_password() -> None:
    with pytest.raises(ValueError, match="Keep secrets in an Airflow connection") as raised:
        table_uri("sftp://user:canary@host/x", "tweet_totals")
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        ("ENGAGEMENT://S3/bucket/brand/tweet_metrics/hour/", "engagement://s3/bucket/brand/tweet_metrics/hour"),
        ("engagement://s3a/bucket/tweet_totals", "engagement://s3/bucket/tweet_totals"),
        ("engagement://file/data/a%20b/tweet_totals", "engagement://file/data/a%20b/tweet_totals"),
        ("engagement://file/data/%62rand/tweet_totals", "engagement://file/data/brand/tweet_totals"),
        ("engagement://file/data/tweet_metrics/hour/tweet_totals", None),
    ],
)
def test_airflow_normalizes_a_uri(written: str, normalized: str | None) -> None:
    asset = Asset(uri=written)

    assert asset.uri == (normalized or written)
    assert Asset(uri=asset.uri).uri == asset.uri


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("engagement://s3/bucket/brand", "The tables are"),
        ("engagement://s3/tweet_totals", "empty component"),
        ("engagement://s3/bucket//tweet_totals", "empty component"),
        ("engagement:///bucket/tweet_totals", "does not name a storage"),
        ("engagement://s3/bucket/../tweet_totals", r"contains '\.\.'"),
        ("engagement://s3/bucket/%2e%2e/tweet_totals", r"contains '\.\.'"),
        ("engagement://s3/bucket/a%2Fb/tweet_totals", "escaped slash"),
        ("engagement://s3/bucket/tweet_totals?auth=user", "has a query"),
        ("engagement://user@s3/bucket/tweet_totals", "user information"),
        ("engagement://s3:80/bucket/tweet_totals", "user information or a port"),
        ("engagement://s3/bucket/{{ ds }}/tweet_totals", "is a template"),
        ("engagement://s3/bucket/tweet_totals/hour", "The tables are"),
    ],
)
def test_airflow_rejects_a_uri_that_names_no_table(uri: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Asset(uri=uri)


def test_a_uri_of_another_scheme_is_rejected() -> None:
    with pytest.raises(ValueError, match="does not start with engagement://"):
        parse_uri("s3://bucket/tweet_totals")


@given(folder=st.lists(st.text(min_size=1).filter(lambda text: "/" not in text), min_size=1))
def test_a_uri_names_the_folder_that_it_was_made_of(folder: list[str]) -> None:
    try:
        uri = table_uri("/" + "/".join(folder), "tweet_metrics", "hour")
    except ValueError:
        return
    address = parse_uri(uri)

    assert (list(address.folder), address.table, address.granularity) == (folder, "tweet_metrics", "hour")
    assert sanitize_uri(urlsplit(uri)).geturl() == uri


@pytest.mark.parametrize(
    ("dataset_path", "namespace", "name"),
    [
        ("s3://bucket/a/b", "s3://bucket", "a/b/tweet_metrics/hour"),
        ("gs://bucket", "gs://bucket", "tweet_metrics/hour"),
        ("/data/a b", "file", "/data/a b/tweet_metrics/hour"),
    ],
)
def test_openlineage_names_the_folder_of_the_table(dataset_path: str, namespace: str, name: str) -> None:
    pytest.importorskip("openlineage.client")
    asset = create_asset(dataset_path=dataset_path, table="tweet_metrics", granularity="hour")
    found = convert_asset_to_openlineage(asset, None)

    assert (found.namespace, found.name) == (namespace, name)


def test_airflow_discovers_the_scheme() -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    manager = ProvidersManagerTaskRuntime()

    assert manager.asset_uri_handlers["engagement"] is sanitize_uri
    assert manager.asset_factories["engagement"] is create_asset
    assert manager.asset_to_openlineage_converters["engagement"] is convert_asset_to_openlineage
