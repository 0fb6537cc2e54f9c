SELECT
    tweet_id,
    owner,
    tweet_created_at,
    snapshot_at,
    {totals},
    CASE
        WHEN impressions_snapshot_at = engagements_snapshot_at AND impressions <> 0
            THEN CAST(engagements AS DOUBLE PRECISION) / impressions
    END AS all_engagements_per_organic_impression,
    {totals_ages}
FROM (
    SELECT
        tweet_id,
        MAX(owner) AS owner,
        MAX(tweet_created_at) AS tweet_created_at,
        MAX(snapshot_at) AS snapshot_at,
        {newest_totals}
    FROM (
        SELECT tweet_id, owner, tweet_created_at, snapshot_at, {totals}, {totals_known_at}
        FROM ({snapshots}) AS snapshots
    ) AS dated
    GROUP BY tweet_id
) AS newest
