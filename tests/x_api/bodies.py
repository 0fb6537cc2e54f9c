"""Answers of X API in the shapes that are documented or were seen. Ids, names and texts are made up."""

from __future__ import annotations

from typing import Any

AUTHOR = "7100000000000000001"
OTHER = "7100000000000000002"

TWEET = "1990000000000000001"
REPLY = "1990000000000000002"
QUOTE = "1990000000000000003"
RETWEET = "1990000000000000004"
FOREIGN = "1990000000000000005"
DELETED = "1990000000000000006"

OLD_HOST = "https://api.twitter.com/2/problems/"
NEW_HOST = "https://api.x.com/2/problems/"

PUBLIC = {
    "retweet_count": 12,
    "reply_count": 3,
    "like_count": 40,
    "quote_count": 2,
    "bookmark_count": 5,
    "impression_count": 9000,
}

PUBLIC_COLUMNS = {f"public_{name}": count for name, count in PUBLIC.items()}

LOOKUP: dict[str, Any] = {
    "data": [
        {
            "id": TWEET,
            "text": "A first line, cut…",
            "note_tweet": {"text": "A first line, and all of the others."},
            "author_id": AUTHOR,
            "created_at": "2026-11-20T10:00:00.000Z",
            "lang": "en",
            "conversation_id": TWEET,
            "edit_history_tweet_ids": ["1989999999999999999", TWEET],
            "attachments": {"media_keys": ["3_1001", "7_1002"]},
            "public_metrics": PUBLIC,
        },
        {
            "id": REPLY,
            "text": "@someone yes",
            "author_id": AUTHOR,
            "conversation_id": "1980000000000000000",
            "in_reply_to_user_id": OTHER,
            "referenced_tweets": [
                {"type": "quoted", "id": "1970000000000000000"},
                {"type": "replied_to", "id": "1980000000000000000"},
            ],
            "edit_history_tweet_ids": [REPLY],
            "public_metrics": PUBLIC,
        },
        {
            "id": QUOTE,
            "text": "Look at this",
            "author_id": AUTHOR,
            "referenced_tweets": [{"type": "quoted", "id": "1970000000000000000"}],
            "public_metrics": PUBLIC,
        },
        {
            "id": RETWEET,
            "text": "RT @someone: a text that is cu…",
            "author_id": AUTHOR,
            "referenced_tweets": [{"type": "retweeted", "id": "1970000000000000000"}],
            "public_metrics": PUBLIC,
        },
    ],
    "includes": {
        "users": [
            {
                "id": AUTHOR,
                "username": "acme_labs",
                "name": "Acme Labs",
                "protected": False,
                "created_at": "2012-05-01T08:00:00.000Z",
                "public_metrics": {
                    "followers_count": 1500,
                    "following_count": 20,
                    "tweet_count": 4100,
                    "listed_count": 9,
                    "media_count": 77,
                },
            }
        ],
        "media": [{"media_key": "3_1001", "type": "photo"}, {"media_key": "7_1002", "type": "video"}],
    },
    "errors": [
        {
            "value": DELETED,
            "detail": f"Could not find tweet with ids: [{DELETED}].",
            "title": "Not Found Error",
            "resource_type": "tweet",
            "parameter": "ids",
            "resource_id": DELETED,
            "type": f"{OLD_HOST}resource-not-found",
        }
    ],
}

LOOKUP_IN_OTHER_WORDS: dict[str, Any] = {
    "data": [
        {
            "id": RETWEET,
            "text": "A first line, cut…",
            "note_post": {"text": "A first line, and all of the others."},
            "author_id": AUTHOR,
            "edit_history_post_ids": [RETWEET],
            "referenced_posts": [{"type": "retweeted", "id": "1970000000000000000"}],
            "public_metrics": {**{k: v for k, v in PUBLIC.items() if k != "retweet_count"}, "repost_count": 12},
        }
    ],
    "includes": {"users": [{"id": AUTHOR, "username": "acme_labs", "public_metrics": {"post_count": 4100}}]},
}

PRIVATE: dict[str, Any] = {
    "data": [
        {
            "id": TWEET,
            "text": "A first line, cut…",
            "edit_history_tweet_ids": [TWEET],
            "non_public_metrics": {"impression_count": 8500, "user_profile_clicks": 4, "engagements": 3474},
            "organic_metrics": {
                "impression_count": 8500,
                "like_count": 38,
                "reply_count": 3,
                "retweet_count": 11,
                "user_profile_clicks": 4,
            },
        }
    ]
}
"""As seen of a Tweet with a link: both groups lack ``url_link_clicks``."""

_PRIVATE_FIELDS = (
    *(f"non_public_metrics.{name}" for name in ("impression_count", "url_link_clicks", "user_profile_clicks")),
    *(
        f"organic_metrics.{name}"
        for name in (
            "impression_count",
            "like_count",
            "reply_count",
            "retweet_count",
            "url_link_clicks",
            "user_profile_clicks",
        )
    ),
)


def refused_fields(tweet_id: str, *, section: str = "data", parameter: str = "ids") -> list[dict[str, Any]]:
    """Return the problems of one Tweet whose private metrics the token cannot read: one for each count."""
    return [
        {
            "resource_type": "tweet",
            "field": field,
            "parameter": parameter,
            "resource_id": tweet_id,
            "value": tweet_id,
            "section": section,
            "title": "Field Authorization Error",
            "detail": f"Sorry, you are not authorized to access '{field}' on the Tweet with ids : [{tweet_id}].",
            "type": f"{OLD_HOST}not-authorized-for-field",
        }
        for field in _PRIVATE_FIELDS
    ]


NOT_ENROLLED: dict[str, Any] = {
    "client_id": "10000001",
    "title": "Client Forbidden",
    "detail": "Use keys from an App that is attached to a Project.",
    "reason": "client-not-enrolled",
    "required_enrollment": "Appropriate Level of API Access",
    "registration_url": "https://developer.example/",
    "type": f"{OLD_HOST}client-forbidden",
}

CREDITS: dict[str, Any] = {
    "title": "CreditsDepleted",
    "detail": "Your enrolled account [10000001] does not have any credits to fulfill this request.",
    "type": f"{NEW_HOST}credits",
}

USAGE_CAPPED: dict[str, Any] = {
    "title": "UsageCapExceeded",
    "period": "Monthly",
    "scope": "Product",
    "account_id": 10000001,
    "detail": "Usage cap exceeded: Monthly product cap",
    "type": f"{OLD_HOST}usage-capped",
}

UNAUTHORIZED: dict[str, Any] = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}

UNSUPPORTED: dict[str, Any] = {
    "title": "Unsupported Authentication",
    "detail": "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.",
    "type": f"{NEW_HOST}unsupported-authentication",
    "status": 403,
}

TOO_MANY_IDS: dict[str, Any] = {
    "errors": [
        {
            "parameters": {"ids": [",".join(str(1990000000000000000 + number) for number in range(101))]},
            "message": "The number of values in the `ids` query parameter list ["
            + ",".join(str(1990000000000000000 + number) for number in range(101))
            + "] is not between 1 and 100",
        }
    ],
    "title": "Invalid Request",
    "detail": "One or more parameters to your request was invalid.",
    "type": f"{OLD_HOST}invalid-request",
}

OLD_RATE_LIMIT: dict[str, Any] = {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}
RATE_LIMIT: dict[str, Any] = {"title": "Too Many Requests", "type": f"{NEW_HOST}rate-limit-exceeded", "status": 429}

EMPTY_PAGE: dict[str, Any] = {"meta": {"result_count": 0, "next_token": "7140dibdnow9"}}
LAST_PAGE: dict[str, Any] = {
    "data": [{"id": TWEET, "text": "last"}],
    "meta": {"result_count": 1, "newest_id": TWEET, "oldest_id": TWEET, "previous_token": "77qp89"},
}
