SELECT
    tweet_id,
    granularity,
    MAX(owner) AS owner,
    MAX(tweet_created_at) AS tweet_created_at,
    MIN(period_start) AS series_from,
    MAX(period_end) AS series_until,
    MAX(CASE WHEN previous_end <> period_start THEN 1 ELSE 0 END) = 0 AS is_whole,
    COALESCE(MIN(period_start) <= MAX(tweet_created_at), FALSE) AS is_since_creation,
    {reconciled_sums}
FROM (
    SELECT
        series.*,
        LAG(series.period_end) OVER (
            PARTITION BY series.tweet_id, series.granularity ORDER BY series.period_start
        ) AS previous_end
    FROM tweet_metrics AS series
    LEFT JOIN (SELECT tweet_id, MAX(snapshot_at) AS snapshot_at FROM tweet_totals GROUP BY tweet_id) AS newest
        ON newest.tweet_id = series.tweet_id
    WHERE (series.granularity = 'hour' OR series.granularity = 'day' AND series.time_zone = {zone})
        AND (newest.snapshot_at IS NULL OR series.period_start < newest.snapshot_at)
) AS ordered
GROUP BY tweet_id, granularity
