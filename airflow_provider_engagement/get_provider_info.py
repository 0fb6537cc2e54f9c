"""What Airflow discovers of this package: data only, so that discovery imports nothing else."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Tweet Engagement"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as ``provider_info.schema.json`` of Airflow has it."""
    return {
        "package-name": "airflow-provider-engagement",
        "name": "Tweet Engagement",
        "description": "Tweet engagement metrics: totals, the last 28 hours and history, from the Engagement API.",
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
            {"integration-name": INTEGRATION, "python-modules": ["airflow_provider_engagement.operators.engagement"]}
        ],
        "sensors": [
            {"integration-name": INTEGRATION, "python-modules": ["airflow_provider_engagement.sensors.rate_limit"]}
        ],
        "connection-types": [
            {
                "connection-type": "engagement",
                "hook-class-name": "airflow_provider_engagement.hooks.engagement.EngagementHook",
                "hook-name": "Tweet Engagement",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port", "login", "password"],
                    "relabeling": {"host": "Base URL"},
                    "placeholders": {"host": "https://data-api.twitter.com"},
                },
                "conn-fields": {
                    "consumer_key": _secret("Consumer key", "The app's key, also called API key."),
                    "consumer_secret": _secret("Consumer secret", "The app's secret, also called API secret."),
                    "access_token": _secret(
                        "Access token",
                        "Of the user whose own Tweets are asked for: the user's id, a hyphen and more. "
                        "Needs the consumer key and secret.",
                    ),
                    "access_token_secret": _secret("Access token secret", "Belongs to the access token."),
                    "bearer_token": _secret(
                        "Bearer token",
                        "For public metrics of anyone's Tweets. Left empty, one is obtained with the consumer key and "
                        "secret.",
                    ),
                    "token_url": {
                        "label": "Token URL",
                        "description": "Where a bearer token is obtained; by default https://api.twitter.com/oauth2/token.",
                        "schema": {"type": ["string", "null"], "format": "url"},
                    },
                    "requests_per_minute": {
                        "label": "Requests per minute",
                        "description": "A ceiling to stay under where the contract is shared; none by default.",
                        "schema": {"type": ["integer", "null"], "minimum": 1},
                    },
                    "quota_share": {
                        "label": "Share of the contract",
                        "description": "Of what the API allows in a minute, the share to use; all of it by default.",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
                    },
                    "connect_timeout": _seconds("Connect timeout", "Seconds until a connection must stand."),
                    "read_timeout": _seconds("Read timeout", "Seconds that the API may be silent."),
                },
            }
        ],
    }


def _secret(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], "format": "password"}}


def _seconds(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["number", "null"], "minimum": 0.1}}
