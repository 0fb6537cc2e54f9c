"""The objects of users, with the fields that a request asks for."""

from __future__ import annotations

from typing import Any

from airflow_provider_engagement.simulator.profiles import Profile
from airflow_provider_engagement.simulator.x_api.reader import Reader
from airflow_provider_engagement.simulator.x_api.tweet_objects import api_time


def user_object(reader: Reader, profile: Profile, fields: frozenset[str]) -> dict[str, Any]:
    """Return a user as a response shows it.

    :param reader: who reads it.
    :param profile: the user.
    :param fields: the fields to show besides the default ones.
    """
    shown: dict[str, Any] = {"id": profile.user_id, "name": profile.name, "username": profile.username}
    values = {
        "created_at": api_time(profile.created),
        "description": f"{profile.name} on X.",
        "profile_image_url": f"https://pbs.twimg.com/profile_images/{profile.user_id}/picture_normal.jpg",
        "protected": profile.protected,
        "verified": False,
        "verified_type": "none",
    }
    shown.update({name: value for name, value in values.items() if name in fields})
    if "public_metrics" in fields:
        audience = reader.world.profiles.audience(profile.user_id, reader.now)
        tweets = reader.world.order.number_listed(profile.user_id, reader.newest_id)
        shown["public_metrics"] = {
            "followers_count": audience.followers,
            "following_count": audience.following,
            f"{reader.switches.user_words}_count": tweets,
            "listed_count": audience.listed,
        }
    return shown
