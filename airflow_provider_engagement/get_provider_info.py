"""The provider's description for Airflow. It contains data only, so that discovery imports nothing else."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Tweet Engagement"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-engagement",
        "name": "Tweet Engagement",
        "description": "Tweet engagement metrics from the Engagement API, and Tweets with metrics from X API v2.",
        "versions": ["0.1.0"],
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://docs.x.com/x-api/enterprise-gnip-2.0/fundamentals/engagement-api",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {"integration-name": INTEGRATION, "python-modules": ["airflow_provider_engagement.hooks.engagement"]}
        ],
        "operators": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "airflow_provider_engagement.operators.engagement",
                    "airflow_provider_engagement.operators.report",
                    "airflow_provider_engagement.operators.tidy",
                    "airflow_provider_engagement.operators.top_tweets",
                    "airflow_provider_engagement.operators.tweets",
                ],
            }
        ],
        "transfers": [
            {
                "source-integration-name": INTEGRATION,
                "target-integration-name": INTEGRATION,
                "how-to-guide": "/docs/operators/to-warehouse.md",
                "python-module": "airflow_provider_engagement.transfers.engagement_to_warehouse",
            }
        ],
        "sensors": [
            {"integration-name": INTEGRATION, "python-modules": ["airflow_provider_engagement.sensors.rate_limit"]}
        ],
        "config": {
            "engagement": {
                "description": "What holds for the tasks that pull engagement metrics, unless a DAG sets it.",
                "options": {
                    "default_dataset_path": _option(
                        "The dataset folder of tasks that do not set dataset_path. Pass dataset_path='' to opt out.",
                        example="s3://warehouse/engagement",
                    ),
                    "default_dataset_format": _option(
                        "The format of the tables of tasks without dataset_format: parquet, csv, jsonl or delta.",
                        example="delta",
                        default="parquet",
                    ),
                    "default_pool": _option(
                        "The pool of tasks without pool. It is read when a task is constructed. It does not apply to "
                        "mapped tasks: pass pool to partial() for them.",
                        example="engagement_api",
                    ),
                    "max_owners": _option("The limit of owners of tasks that set none.", "integer", example="300"),
                    "max_requests": _option("The limit of requests of tasks that set none.", "integer", example="5000"),
                    "page_roots": _option(
                        "The folders and storages that the page in Airflow may read, separated by commas. By default, "
                        "local folders and the object stores s3, gs, abfs, abfss and adl. default_dataset_path is "
                        "always among them.",
                        example="s3://aws_default@warehouse/engagement, /data/engagement",
                    ),
                    "max_tweets": _option("The limit of Tweets of tasks that set none.", "integer", example="1000000"),
                },
            }
        },
        "asset-uris": [
            {
                "schemes": ["engagement"],
                "handler": "airflow_provider_engagement.assets.engagement.sanitize_uri",
                "factory": "airflow_provider_engagement.assets.engagement.create_asset",
                "to_openlineage_converter": (
                    "airflow_provider_engagement.assets.engagement.convert_asset_to_openlineage"
                ),
            }
        ],
        "extra-links": [
            "airflow_provider_engagement.operators.links.BestTweetLink",
            "airflow_provider_engagement.operators.links.DatasetLink",
            "airflow_provider_engagement.operators.links.ManifestLink",
            "airflow_provider_engagement.operators.report.ReportLink",
        ],
        "connection-types": [
            {
                "connection-type": "engagement",
                "hook-class-name": "airflow_provider_engagement.hooks.engagement.EngagementHook",
                "hook-name": "Tweet Engagement",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login", "password"],
                    # The Test button in Airflow's list of connections sends port 0 for an empty field, and Airflow
                    # then refuses the test of a connection that has no port.
                    "relabeling": {"host": "Base URL", "port": "Port (0 for none)"},
                    "placeholders": {"host": "https://data-api.twitter.com", "port": "0"},
                },
                "conn-fields": {
                    "api_key": _secret("API key", "The app's API key. X also calls it the consumer key."),
                    "api_key_secret": _secret(
                        "API key secret", "The secret of the API key. X also calls it the consumer secret."
                    ),
                    "access_token": _secret(
                        "Access token",
                        "The access token of the user who posted the Tweets. It starts with the user's id and a "
                        "hyphen. It requires the API key and its secret.",
                    ),
                    "access_token_secret": _secret("Access token secret", "The secret of the access token."),
                    "bearer_token": _secret(
                        "Bearer token",
                        "The token reads the public metrics of any Tweet. If you leave it empty, the provider obtains "
                        "a token with the API key and its secret.",
                    ),
                    "account_tokens": _secret(
                        "Account tokens",
                        "Access tokens of further owners, as JSON: "
                        '{"USER_ID": {"access_token": "…", "access_token_secret": "…"}}.',
                    ),
                    "token_url": {
                        "label": "Token URL",
                        "description": "The URL that issues bearer tokens. The default is https://api.twitter.com/oauth2/token.",
                        "schema": {"type": ["string", "null"], "format": "url"},
                    },
                    "x_base_url": {
                        "label": "X API v2 base URL",
                        "description": "The address of X API v2, for the operators that list and look up Tweets. The "
                        "default is https://api.x.com.",
                        "schema": {"type": ["string", "null"], "format": "url"},
                    },
                    "requests_per_minute": {
                        "label": "Requests per minute",
                        "description": "A limit of your own, for example if other clients use the same quota. By "
                        "default, only the API limits requests.",
                        "schema": {"type": ["integer", "null"], "minimum": 1},
                    },
                    "quota_share": {
                        "label": "Quota share",
                        "description": "The share of the quota to use, above 0 and up to 1. The default is 1.",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
                    },
                    "connect_timeout": _seconds(
                        "Connect timeout", "Seconds to wait for a connection. The default is 10."
                    ),
                    "read_timeout": _seconds(
                        "Read timeout",
                        "Seconds to wait for data of a response. The default is 60. A request and its response, "
                        "headers included, may take ten times as long in total.",
                    ),
                    "max_response_megabytes": {
                        "label": "Maximum response size (MB)",
                        "description": "The largest response to read, in megabytes after decompression. The default is "
                        "32. A full response has about 3.",
                        "schema": {"type": ["integer", "null"], "minimum": 1},
                    },
                },
            }
        ],
    }


def _secret(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], "format": "password"}}


def _seconds(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["number", "null"], "minimum": 0.1}}


def _option(description: str, kind: str = "string", *, example: str, default: str | None = None) -> dict[str, Any]:
    return {"description": description, "version_added": "0.1.0", "type": kind, "example": example, "default": default}
