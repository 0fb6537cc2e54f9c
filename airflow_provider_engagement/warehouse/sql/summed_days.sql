SELECT
    tweet_id,
    period_date,
    time_zone,
    period_start,
    period_end,
    owner,
    tweet_created_at,
    fetched_at,
    is_final,
    {metrics}
FROM (
    SELECT
        hours.tweet_id,
        CAST(hours.period_start AT TIME ZONE {zone} AS DATE) AS period_date,
        {zone} AS time_zone,
        MIN(hours.period_start) AS period_start,
        MAX(hours.period_end) AS period_end,
        COUNT(*) AS hours,
        MAX(hours.owner) AS owner,
        MAX(hours.tweet_created_at) AS tweet_created_at,
        MAX(hours.fetched_at) AS fetched_at,
        MIN(CASE WHEN hours.is_final THEN 1 ELSE 0 END) = 1 AS is_final,
        {sums}
    FROM tweet_metrics AS hours
    WHERE hours.granularity = 'hour'
    GROUP BY hours.tweet_id, CAST(hours.period_start AT TIME ZONE {zone} AS DATE)
) AS sums
WHERE EXTRACT(MINUTE FROM sums.period_start AT TIME ZONE {zone}) = 0
    AND TIMESTAMP_ADD(sums.period_start, sums.hours, 'HOUR') = sums.period_end
    AND CAST(sums.period_end AT TIME ZONE {zone} AS DATE) > sums.period_date
    AND (
        CAST((sums.period_start - INTERVAL '1 HOUR') AT TIME ZONE {zone} AS DATE) < sums.period_date
        OR sums.period_start <= sums.tweet_created_at
    )
