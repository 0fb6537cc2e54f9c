SELECT
    tweet_id,
    owner,
    tweet_created_at,
    first_date,
    last_date,
    time_zone,
    days,
    engagements,
    impressions,
    CASE WHEN impressions <> 0 THEN CAST(engagements AS DOUBLE PRECISION) / impressions END
        AS all_engagements_per_organic_impression
FROM (
    SELECT
        tweet_id,
        time_zone,
        MAX(owner) AS owner,
        MAX(tweet_created_at) AS tweet_created_at,
        MIN(period_date) AS first_date,
        MAX(period_date) AS last_date,
        COUNT(*) AS days,
        CAST(SUM(engagements) AS BIGINT) AS engagements,
        CAST(SUM(impressions) AS BIGINT) AS impressions
    FROM ({days}) AS days
    WHERE engagements IS NOT NULL AND impressions IS NOT NULL
    GROUP BY tweet_id, time_zone
) AS sums
