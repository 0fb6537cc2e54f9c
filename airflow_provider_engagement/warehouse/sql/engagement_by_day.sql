SELECT
    tweet_id,
    period_date,
    time_zone,
    owner,
    tweet_created_at,
    period_start,
    period_end,
    fetched_at,
    is_final,
    {metrics}
FROM ({days}) AS days
