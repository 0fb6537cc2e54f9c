SELECT
    time_zone,
    COUNT(DISTINCT CASE WHEN TIMESTAMP_ADD(period_start, 168, 'HOUR') > newest.newest_start THEN tweet_id END) AS tweets,
    MIN(period_start) AS first_start
FROM (SELECT tweet_id, time_zone, period_start FROM tweet_metrics WHERE granularity = 'day') AS days
CROSS JOIN (SELECT MAX(period_start) AS newest_start FROM tweet_metrics WHERE granularity = 'day') AS newest
GROUP BY time_zone
