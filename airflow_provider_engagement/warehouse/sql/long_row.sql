SELECT tweet_id, '{metric}' AS metric, period_start, {metric} AS value, period_end, granularity, time_zone
FROM tweet_metrics
WHERE {metric} IS NOT NULL
