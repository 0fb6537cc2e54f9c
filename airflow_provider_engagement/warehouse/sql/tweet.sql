SELECT
    tweet_id AS id,
    MAX(owner) AS account_id,
    MAX(owner) AS user_id,
    MAX(tweet_created_at) AS created_at,
    MAX(fetched_at) AS _fivetran_synced
FROM tweet_metrics
WHERE granularity IN ('day', 'hour')
GROUP BY tweet_id
