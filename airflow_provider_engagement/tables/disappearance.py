"""When a Tweet disappeared: a Tweet that is deleted or protected keeps its id and this time, and loses its text.

X's developer policy asks whoever stores Tweets to remove the content of those that are gone. A newer row without
content replaces an older one with content, so only the time needs a rule of its own: it is when the API first said that
the Tweet is gone, since it was last seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow
import pyarrow.compute as compute

SEEN_AT = "seen_at"
GONE_AT = "gone_at"


def with_disappearance(merged: pyarrow.Table, rows: pyarrow.Table, key: Sequence[str]) -> pyarrow.Table:
    """Return merged rows with the time at which each Tweet was last seen, and disappeared if it did after that.

    :param merged: one row for each key, in any order.
    :param rows: the rows that they were merged from.
    :param key: the columns of the key.
    """
    seen = rows.group_by(list(key)).aggregate([(SEEN_AT, "max")]).rename_columns({f"{SEEN_AT}_max": "last_seen_at"})
    times = rows.select([*key, GONE_AT]).join(seen, list(key), join_type="inner")
    is_later = compute.fill_null(compute.greater(times[GONE_AT], times["last_seen_at"]), True)
    later = times.filter(compute.and_(times[GONE_AT].is_valid(), is_later))
    first = later.group_by(list(key)).aggregate([(GONE_AT, "min")])
    joined = merged.drop_columns([SEEN_AT, GONE_AT]).join(seen, list(key), join_type="left outer")
    joined = joined.join(first, list(key), join_type="left outer")
    # The earliest report may be from before the Tweet was last seen. Then the newest one counts.
    is_gone = compute.fill_null(compute.greater(joined["fetched_at"], joined["last_seen_at"]), True)
    missing = compute.if_else(is_gone, joined["fetched_at"], pyarrow.scalar(None, joined["fetched_at"].type))
    gone_at = compute.coalesce(joined[f"{GONE_AT}_min"], missing)
    named = joined.rename_columns({"last_seen_at": SEEN_AT}).drop_columns([f"{GONE_AT}_min"])
    return named.append_column(rows.schema.field(GONE_AT), gone_at)
