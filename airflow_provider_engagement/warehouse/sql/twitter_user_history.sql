SELECT owner AS id, MAX(fetched_at) AS _fivetran_synced
FROM tweet_metrics
WHERE owner IS NOT NULL AND granularity IN ('day', 'hour')
GROUP BY owner
