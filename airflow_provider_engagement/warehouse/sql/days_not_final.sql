SELECT tweet_id, period_date, time_zone, owner, tweet_created_at, period_start, period_end, fetched_at
FROM ({days}) AS days
WHERE NOT COALESCE(is_final, FALSE)
