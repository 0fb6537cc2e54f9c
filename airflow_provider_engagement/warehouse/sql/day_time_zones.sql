SELECT
    stored.time_zone,
    stored.time_zone = {zone} AS is_shown,
    COUNT(*) AS days,
    COUNT(DISTINCT stored.tweet_id) AS tweets,
    COUNT(DISTINCT CASE WHEN shown.tweet_id IS NULL THEN stored.tweet_id END) AS tweets_not_shown,
    MIN(CAST(stored.period_start AT TIME ZONE stored.time_zone AS DATE)) AS first_date,
    MAX(CAST(stored.period_start AT TIME ZONE stored.time_zone AS DATE)) AS last_date,
    MAX(stored.fetched_at) AS fetched_at
FROM tweet_metrics AS stored
LEFT JOIN (SELECT DISTINCT tweet_id FROM ({days}) AS days) AS shown
    ON shown.tweet_id = stored.tweet_id
WHERE stored.granularity = 'day'
GROUP BY stored.time_zone
