SELECT tweet_id, snapshot_at, owner, tweet_created_at, previous_snapshot_at, {totals_changes}
FROM (
    SELECT
        tweet_id,
        snapshot_at,
        MAX(owner) OVER (PARTITION BY tweet_id) AS owner,
        tweet_created_at,
        LAG(snapshot_at) OVER (PARTITION BY tweet_id ORDER BY snapshot_at) AS previous_snapshot_at,
        {totals},
        {totals_known}
    FROM (
        SELECT tweet_id, snapshot_at, owner, tweet_created_at, {totals}, {totals_numbered}
        FROM ({snapshots}) AS snapshots
    ) AS numbered
) AS known
