SELECT
    stored.tweet_id,
    CAST(stored.period_start AT TIME ZONE {zone} AS DATE) AS period_date,
    stored.time_zone,
    stored.period_start,
    stored.period_end,
    stored.owner,
    stored.tweet_created_at,
    CASE WHEN {hours_are_newer} THEN of_hours.fetched_at ELSE stored.fetched_at END AS fetched_at,
    CASE WHEN {hours_are_newer} THEN of_hours.is_final ELSE stored.is_final END AS is_final,
    {metrics_of_days}
FROM tweet_metrics AS stored
LEFT JOIN ({summed_days}) AS of_hours
    ON of_hours.tweet_id = stored.tweet_id
    AND of_hours.period_end = stored.period_end
    AND of_hours.period_start >= stored.period_start
WHERE stored.granularity = 'day' AND stored.time_zone = {zone}
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
FROM ({summed_days}) AS summed
WHERE NOT EXISTS (
    SELECT 1
    FROM tweet_metrics AS known
    WHERE known.granularity = 'day'
        AND known.time_zone = {zone}
        AND known.tweet_id = summed.tweet_id
        AND CAST(known.period_start AT TIME ZONE {zone} AS DATE) = summed.period_date
)
