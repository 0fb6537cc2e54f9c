SELECT
    tweet_id,
    snapshot_at,
    MAX(owner) AS owner,
    MAX(tweet_created_at) AS tweet_created_at,
    MAX(fetched_at) AS fetched_at,
    {totals_user_first}
FROM tweet_totals
GROUP BY tweet_id, snapshot_at
