SELECT tweet_id, endpoint, owner, author, outcome, metrics_affected, message, checked_at, run_id, task
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY tweet_id, endpoint
            ORDER BY
                CASE WHEN newest_outcome = 'ok' AND outcome IN ('unsupported_90d', 'unsupported_video') THEN 0 ELSE 1 END,
                CASE WHEN checked_at IS NULL THEN 1 ELSE 0 END,
                checked_at DESC,
                run_id DESC,
                task
        ) AS place
    FROM (
        SELECT
            tweet_id, endpoint, owner, author, outcome, metrics_affected, message, checked_at, run_id, task,
            FIRST_VALUE(outcome) OVER (
                PARTITION BY tweet_id, endpoint
                ORDER BY CASE WHEN checked_at IS NULL THEN 1 ELSE 0 END, checked_at DESC, run_id DESC, task
            ) AS newest_outcome
        FROM tweet_status
    ) AS statuses
) AS ranked
WHERE place = 1
