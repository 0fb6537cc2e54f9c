"""The user information of a URL is the id of a connection, or it is refused and never shown."""

from __future__ import annotations

import pytest

from airflow_provider_engagement.storage.user_information import holds_secret, without_user

CANARY = "cAnAry"


@pytest.mark.parametrize(
    "path",
    [
        f"s3://key:{CANARY}@bucket/folder",
        f"s3://:{CANARY}@bucket/folder",
        f"s3://key%3A{CANARY}@bucket/folder",
        f"s3://key:{CANARY}/with/slashes@bucket/folder",
        f"s3://key:{CANARY}+/@bucket/folder",
        f"s3://key:{CANARY}#?@bucket/folder",
        f"s3://conn@key:{CANARY}@bucket/folder",
        f"s3://key:{CANARY}/folder",
        f"s3:/key:{CANARY}@bucket/folder",
        f"s3:key:{CANARY}@bucket/folder",
        f"S3://key:{CANARY}@bucket",
        f"gs://key:{CANARY}@bucket/folder",
        f"abfs://key:{CANARY}@container/folder",
        f"sftp://user:{CANARY}@host:22/folder",
        f"https://user:{CANARY}@host/folder",
        f"file://user:{CANARY}@/folder",
        f"simplecache::s3://key:{CANARY}@bucket/folder",
        f"zip://a.zip::s3://key:{CANARY}@bucket/folder",
        f"s3://key:{CANARY} @bucket/folder",
        f"s3://key:{CANARY}\n@bucket/folder",
    ],
)
def test_a_url_that_can_contain_a_secret_is_recognized_and_shown_without_it(path: str) -> None:
    assert holds_secret(path)
    assert CANARY not in without_user(path)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("s3://aws_default@bucket/folder", "s3://bucket/folder"),
        ("s3://team-a.reader@bucket", "s3://bucket"),
        ("s3://bucket/period=2026-01-05T00:00/a@b", "s3://bucket/period=2026-01-05T00:00/a@b"),
        ("hdfs://host:8020/folder", "hdfs://host:8020/folder"),
        ("hdfs://[::1]:8020/folder", "hdfs://[::1]:8020/folder"),
        ("hdfs://conn@host:8020/folder", "hdfs://host:8020/folder"),
        ("abfs://container@account.dfs.core.windows.net/x", "abfs://account.dfs.core.windows.net/x"),
        ("file:///data/a:b@c", "file:///data/a:b@c"),
        ("/data/a:b@c/folder", "/data/a:b@c/folder"),
        ("data/2026:01@home", "data/2026:01@home"),
        ("", ""),
    ],
)
def test_the_id_of_a_connection_is_no_secret_and_left_out_where_a_path_is_shown(path: str, shown: str) -> None:
    assert not holds_secret(path)
    assert without_user(path) == shown
