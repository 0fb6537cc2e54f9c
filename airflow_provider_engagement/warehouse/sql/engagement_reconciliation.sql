WITH totals AS (
    SELECT tweet_id, owner, tweet_created_at, snapshot_at, {reconciled}
    FROM (
        SELECT
            tweet_id,
            owner,
            tweet_created_at,
            snapshot_at,
            {reconciled},
            ROW_NUMBER() OVER (PARTITION BY tweet_id ORDER BY snapshot_at DESC) AS place
        FROM ({snapshots}) AS snapshots
    ) AS placed
    WHERE place = 1
), series AS (
    {hours_and_days}
), hours AS (
    SELECT * FROM series WHERE granularity = 'hour'
), days AS (
    SELECT * FROM series WHERE granularity = 'day'
), tweets_of_all AS (
    SELECT tweet_id FROM totals
    UNION
    SELECT tweet_id FROM series
), compared AS (
    SELECT
        tweets_of_all.tweet_id,
        COALESCE(hours.owner, days.owner, totals.owner) AS owner,
        COALESCE(hours.tweet_created_at, days.tweet_created_at, totals.tweet_created_at) AS tweet_created_at,
        hours.series_from AS hours_from,
        hours.series_until AS hours_until,
        days.series_from AS days_from,
        days.series_until AS days_until,
        totals.snapshot_at,
        hours.is_whole
            AND days.is_whole
            AND hours.series_until = days.series_until
            AND (hours.series_from = days.series_from OR hours.is_since_creation AND days.is_since_creation)
            AS days_compare_with_hours,
        hours.is_whole
            AND hours.is_since_creation
            AND totals.snapshot_at = hours.series_until
            AS hours_compare_with_total,
        days.is_whole
            AND days.is_since_creation
            AND totals.snapshot_at = days.series_until
            AS days_compare_with_total,
        {reconciled_counts}
    FROM tweets_of_all
    LEFT JOIN totals ON totals.tweet_id = tweets_of_all.tweet_id
    LEFT JOIN hours ON hours.tweet_id = tweets_of_all.tweet_id
    LEFT JOIN days ON days.tweet_id = tweets_of_all.tweet_id
)
SELECT
    tweet_id,
    metric,
    CASE
        WHEN days_compare_with_hours AND days_count <> hours_count
            OR hours_compare_with_total AND hours_count <> total_count
            OR days_compare_with_total AND days_count <> total_count
            THEN 'different'
        WHEN days_compare_with_hours AND days_count = hours_count
            OR hours_compare_with_total AND hours_count = total_count
            OR days_compare_with_total AND days_count = total_count
            THEN 'equal'
        ELSE 'not comparable'
    END AS result,
    hours_count,
    days_count,
    total_count,
    owner,
    tweet_created_at,
    hours_from,
    hours_until,
    days_from,
    days_until,
    snapshot_at
FROM ({reconciled_rows}) AS reconciled
