"""The page opens only what an administrator allows, whatever a task has written into its XCom."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.plugin.page_roots import RefusedPathError, check_root
from airflow_provider_engagement.storage.user_information import without_user

ROOTS = "AIRFLOW__ENGAGEMENT__PAGE_ROOTS"
OWN = "AIRFLOW__ENGAGEMENT__DEFAULT_DATASET_PATH"


def is_allowed(path: str) -> bool:
    try:
        check_root(path)
    except RefusedPathError:
        return False
    return True


@pytest.mark.parametrize(
    "path",
    ["/data/engagement", "file:///data/engagement", "s3://bucket/x", "s3://conn@bucket/x", "gs://b", "abfss://c@a/x"],
)
def test_without_configuration_folders_and_object_stores_are_allowed(path: str) -> None:
    assert is_allowed(path)


@pytest.mark.parametrize(
    "path",
    [
        "http://127.0.0.1:9977/x",
        "https://example.com/x",
        "HTTP://127.0.0.1/x",
        "github://org:repo@main/x",
        "ftp://host/x",
        "sftp://host/x",
        "smb://host/x",
        "hdfs://host/x",
        "webhdfs://host/x",
        "memory://x",
        "data:text/plain,x",
        "hf://datasets/x",
        "simplecache::http://127.0.0.1/x",
        "file::http://127.0.0.1/x",
        "zip://x::s3://bucket/y",
        "s3://bucket/../other",
        "s3://bucket/%2e%2e/other",
        "file:///data/../etc",
        "file:///data/%2e%2e/etc",
        "file://etc",
        "file://host/etc",
        "relative/path",
        "../etc",
        "~/x",
        "",
        "://x",
        "/data/\nx",
        "s3://bucket\0/x",
        "\\\\server\\share",
        " /data",
    ],
)
def test_addresses_of_the_web_and_unclear_paths_are_refused(path: str) -> None:
    assert not is_allowed(path)


@pytest.mark.parametrize(
    ("roots", "allowed", "refused"),
    [
        (
            "/data/engagement",
            ["/data/engagement", "file:///data/engagement/x"],
            ["/data", "/data/engagement2", "s3://b"],
        ),
        ("file:///data/", ["/data/x", "file:///data"], ["/etc", "/database"]),
        (
            "s3://bucket/marts, gs://other",
            ["s3://bucket/marts", "s3://bucket/marts/x", "gs://other/y"],
            [
                "s3://bucket/marts2",
                "s3://bucket",
                "s3://bucket2/marts",
                "gs://other2",
                "/data",
                "s3://conn@bucket/marts",
            ],
        ),
        ("s3://conn@bucket", ["s3://conn@bucket/x"], ["s3://bucket/x", "s3://other@bucket/x"]),
        ("s3:", ["s3://any/x", "s3://conn@any/x"], ["gs://any/x", "/data", "s3a://any/x"]),
        ("https://data.example.com/x", ["https://data.example.com/x/y"], ["https://data.example.com/y", "http://x/x"]),
    ],
)
def test_with_roots_only_paths_below_them_are_allowed(
    roots: str, allowed: list[str], refused: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOTS, roots)
    assert [path for path in allowed if not is_allowed(path)] == []
    assert [path for path in refused if is_allowed(path)] == []


def test_the_default_dataset_path_is_always_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOTS, "/data")
    monkeypatch.setenv(OWN, "s3://bucket/engagement")

    assert is_allowed("s3://bucket/engagement")
    assert not is_allowed("s3://bucket/other")


def test_a_link_below_a_root_does_not_lead_out_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").mkdir()
    (root / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "alias").symlink_to(root)
    monkeypatch.setenv(ROOTS, str(tmp_path / "alias"))

    assert is_allowed(str(root / "dataset"))
    assert is_allowed(str(tmp_path / "alias" / "dataset"))
    assert not is_allowed(str(root / "link"))
    assert not is_allowed(f"file://{root}/link/dataset")


@pytest.mark.parametrize("root", ["data", "./data", "s3://bucket/../x", "a b://x"])
def test_a_root_that_is_not_clear_is_named(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOTS, f"/data, {root}")
    with pytest.raises(
        InvalidQueryError, match=r"\[engagement\] page_roots: '.*' is neither an absolute path nor a URL"
    ):
        check_root("/data")


@given(st.text(max_size=40))
def test_any_text_is_allowed_or_refused(text: str) -> None:
    is_allowed(text)
    is_allowed(f"s3://{text}")
    is_allowed(f"/{text}")


def test_the_refusal_names_the_path_without_a_password() -> None:
    with pytest.raises(RefusedPathError, match="is not allowed to read 'http://host/x'") as caught:
        check_root("http://user:password@host/x")
    assert "password" not in str(caught.value)
    assert without_user("s3://key:secret@bucket/a") == "s3://bucket/a"


SECRET_URL = "s3://key:canary@bucket/folder"


def test_a_path_with_a_secret_is_refused_without_it() -> None:
    with pytest.raises(RefusedPathError) as caught:
        check_root(SECRET_URL)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("option", [ROOTS, OWN])
def test_a_root_with_a_secret_is_an_error_that_says_what_to_do_and_does_not_show_it(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(option, SECRET_URL)
    with pytest.raises(InvalidQueryError, match="Keep secrets in an Airflow connection") as caught:
        check_root("/data")
    assert "canary" not in str(caught.value)
