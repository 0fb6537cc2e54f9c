SELECT
    tweet_id,
    period_start,
    CAST(period_start AT TIME ZONE {zone} AS DATE) AS period_date,
    CAST(EXTRACT(HOUR FROM period_start AT TIME ZONE {zone}) AS BIGINT) AS hour_of_day,
    {zone} AS time_zone,
    owner,
    tweet_created_at,
    period_end,
    fetched_at,
    is_final,
    {metrics}
FROM tweet_metrics
WHERE granularity = 'hour'
