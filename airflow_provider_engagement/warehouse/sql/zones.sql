SELECT tweet_id, time_zone
FROM (
    SELECT
        tweet_id,
        time_zone,
        ROW_NUMBER() OVER (
            PARTITION BY tweet_id
            ORDER BY CASE WHEN granularity = 'day' THEN 0 ELSE 1 END, COUNT(*) DESC, time_zone
        ) AS place
    FROM tweet_metrics
    WHERE granularity IN ('day', 'hour')
    GROUP BY tweet_id, granularity, time_zone
) AS zones_of_tweets
WHERE place = 1
