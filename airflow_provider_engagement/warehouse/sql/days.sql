SELECT
    stored.tweet_id,
    CAST(stored.period_start AT TIME ZONE stored.time_zone AS DATE) AS period_date,
    stored.time_zone,
    stored.period_start,
    stored.period_end,
    stored.owner,
    stored.tweet_created_at,
    stored.fetched_at,
    stored.is_final,
    {metrics}
FROM tweet_metrics AS stored
INNER JOIN ({zones}) AS zones
    ON zones.tweet_id = stored.tweet_id AND zones.time_zone = stored.time_zone
WHERE stored.granularity = 'day'
UNION ALL
SELECT
    summed.tweet_id,
    summed.period_date,
    summed.time_zone,
    summed.period_start,
    summed.period_end,
    summed.owner,
    summed.tweet_created_at,
    summed.fetched_at,
    summed.is_final,
    {metrics}
FROM (
    SELECT
        hours.tweet_id,
        CAST(hours.period_start AT TIME ZONE zones.time_zone AS DATE) AS period_date,
        zones.time_zone,
        MIN(hours.period_start) AS period_start,
        MAX(hours.period_end) AS period_end,
        COUNT(*) AS hours,
        MAX(hours.owner) AS owner,
        MAX(hours.tweet_created_at) AS tweet_created_at,
        MAX(hours.fetched_at) AS fetched_at,
        MIN(CASE WHEN hours.is_final THEN 1 ELSE 0 END) = 1 AS is_final,
        {sums}
    FROM tweet_metrics AS hours
    INNER JOIN ({zones}) AS zones
        ON zones.tweet_id = hours.tweet_id
    WHERE hours.granularity = 'hour'
    GROUP BY hours.tweet_id, CAST(hours.period_start AT TIME ZONE zones.time_zone AS DATE), zones.time_zone
) AS summed
WHERE EXTRACT(MINUTE FROM summed.period_start AT TIME ZONE summed.time_zone) = 0
    AND TIMESTAMP_ADD(summed.period_start, summed.hours, 'HOUR') = summed.period_end
    AND CAST(summed.period_end AT TIME ZONE summed.time_zone AS DATE) > summed.period_date
    AND (
        CAST((summed.period_start - INTERVAL '1 HOUR') AT TIME ZONE summed.time_zone AS DATE) < summed.period_date
        OR summed.period_start <= summed.tweet_created_at
    )
    AND NOT EXISTS (
        SELECT 1
        FROM tweet_metrics AS known
        WHERE known.granularity = 'day'
            AND known.time_zone = summed.time_zone
            AND known.tweet_id = summed.tweet_id
            AND CAST(known.period_start AT TIME ZONE known.time_zone AS DATE) = summed.period_date
    )
