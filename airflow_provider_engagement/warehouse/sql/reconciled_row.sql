SELECT
    tweet_id,
    '{metric}' AS metric,
    owner,
    tweet_created_at,
    hours_{metric} AS hours_count,
    days_{metric} AS days_count,
    total_{metric} AS total_count,
    hours_from,
    hours_until,
    days_from,
    days_until,
    snapshot_at,
    days_compare_with_hours,
    hours_compare_with_total,
    days_compare_with_total
FROM compared
