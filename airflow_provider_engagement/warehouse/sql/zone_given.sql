SELECT DISTINCT tweet_id, {zone} AS time_zone
FROM tweet_metrics
WHERE granularity IN ('day', 'hour')
