"""Reading the dataset with pyarrow, which this package brings along."""

# [START read]
import pyarrow.compute as compute
import pyarrow.dataset as dataset


def final_impressions(folder: str) -> dict[str, int]:
    """Return, by Tweet, the impressions of all hours that have settled."""
    hours = dataset.dataset(f"{folder}/tweet_metrics/hour", format="parquet", partitioning="hive")
    rows = hours.to_table(columns=["tweet_id", "impressions"], filter=compute.field("is_final"))
    sums = rows.group_by("tweet_id").aggregate([("impressions", "sum")])
    return dict(zip(sums["tweet_id"].to_pylist(), sums["impressions_sum"].to_pylist(), strict=True))


# [END read]


# [START partial]
def impressions_or_null(folder: str) -> dict[str, int | None]:
    """The same, with null for every Tweet of which one hour is not known."""
    hours = dataset.dataset(f"{folder}/tweet_metrics/hour", format="parquet", partitioning="hive")
    rows = hours.to_table(columns=["tweet_id", "impressions"])
    whole = compute.ScalarAggregateOptions(skip_nulls=False)
    sums = rows.group_by("tweet_id").aggregate([("impressions", "sum", whole)])
    return dict(zip(sums["tweet_id"].to_pylist(), sums["impressions_sum"].to_pylist(), strict=True))


# [END partial]
