"""Read a dataset with pyarrow, a dependency of this package."""

# [START read]
import pyarrow.compute as compute
import pyarrow.dataset as dataset


def final_impressions(folder: str) -> dict[str, int]:
    """Return the impressions of each Tweet, summed over all final hours."""
    hours = dataset.dataset(f"{folder}/tweet_metrics/hour", format="parquet", partitioning="hive")
    rows = hours.to_table(columns=["tweet_id", "impressions"], filter=compute.field("is_final"))
    sums = rows.group_by("tweet_id").aggregate([("impressions", "sum")])
    return dict(zip(sums["tweet_id"].to_pylist(), sums["impressions_sum"].to_pylist(), strict=True))


# [END read]


# [START nulls]
def impressions_or_null(folder: str) -> dict[str, int | None]:
    """Return the impressions of each Tweet, summed over all hours, or None if an hour has no number."""
    hours = dataset.dataset(f"{folder}/tweet_metrics/hour", format="parquet", partitioning="hive")
    rows = hours.to_table(columns=["tweet_id", "impressions"])
    keep_nulls = compute.ScalarAggregateOptions(skip_nulls=False)
    sums = rows.group_by("tweet_id").aggregate([("impressions", "sum", keep_nulls)])
    return dict(zip(sums["tweet_id"].to_pylist(), sums["impressions_sum"].to_pylist(), strict=True))


# [END nulls]
