SELECT
    period_date AS date,
    owner AS account_id,
    tweet_id AS organic_tweet_id,
    'ALL_ON_TWITTER' AS placement,
    fetched_at AS _fivetran_synced,
    {organic_metrics}
FROM ({days}) AS days
