"""The object store: SeaweedFS, a server of the S3 API that keeps objects on disk and honors conditional writes.

A Delta Lake table loses commits if the store accepts two conditional writes of one key. ``moto`` does so under
concurrent requests, and loses all objects when it restarts. So it cannot stand in for S3 here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

from cluster.programs import Program, free_ports

BUCKET = "engagement"
ACCESS_KEY, SECRET_KEY = "cluster", "cluster-secret"
REGION = "us-east-1"

_COMPONENTS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """An object store on loopback.

    :param folder: the folder of its files.
    """

    folder: Path
    _ports: Mapping[str, int] = field(
        default_factory=lambda: dict(
            zip(
                (f"{component}.{port}" for component in _COMPONENTS for port in ("port", "port.grpc")),
                free_ports(2 * len(_COMPONENTS)),
                strict=True,
            )
        )
    )

    @property
    def address(self) -> str:
        """The URL of the S3 API."""
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def program(self, environment: Mapping[str, str]) -> Program:
        """Return the server as a program."""
        self.folder.mkdir(parents=True, exist_ok=True)
        identity = {
            "name": "cluster",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        configuration = self.folder / "s3.json"
        configuration.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        options = {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "filer": "true",
            "filer.localSocket": self.folder / "filer.sock",
            "s3": "true",
            "s3.config": configuration,
            "s3.localSocket": self.folder / "s3.sock",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 128,
            "volume.max": 0,
            **self._ports,
        }
        return Program(
            command=(
                str(Path(sys.executable).with_name("weed")),
                "server",
                *(f"-{name}={value}" for name, value in options.items()),
            ),
            folder=self.folder,
            environment={**environment, "TMPDIR": str(self.folder)},
            leftovers=[
                Path("/tmp", f"seaweedfs-{component}-grpc-{self._ports[f'{component}.port.grpc']}.sock")
                for component in _COMPONENTS
            ],
        )

    def is_ready(self) -> bool:
        """Return whether the server accepts requests."""
        try:
            return requests.get(f"{self.address}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def connection(self) -> dict[str, Any]:
        """Return the Airflow connection to the store."""
        return {
            "conn_type": "aws",
            "login": ACCESS_KEY,
            "password": SECRET_KEY,
            "extra": {"endpoint_url": self.address, "region_name": REGION},
        }

    def delta_options(self) -> dict[str, str]:
        """Return the storage options with which delta-rs reads a table."""
        return {
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "aws_region": REGION,
            "aws_endpoint_url": self.address,
            "aws_allow_http": "true",
        }

    def create_bucket(self) -> None:
        """Create the bucket of the cluster."""
        self._client.create_bucket(Bucket=BUCKET)

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        content: bytes = self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with a prefix, in order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        for page in pages:
            for entry in page.get("Contents", ()):
                yield entry["Key"]

    @cached_property
    def _client(self) -> Any:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}),
        )
