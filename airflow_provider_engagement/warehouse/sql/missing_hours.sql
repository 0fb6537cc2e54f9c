WITH digits AS (
    SELECT 0 AS digit UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
    UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9
), horizon AS (
    SELECT MIN(window_start) AS first_hour, MAX(window_end) AS last_hour FROM coverage
), read_tweets AS (
    SELECT DISTINCT tweet_id FROM coverage
), not_answered AS (
    SELECT tweet_id, MIN(outcome) AS outcome
    FROM tweet_status
    WHERE checked_at IS NULL AND outcome <> 'ok' AND COALESCE(endpoint, '') <> 'totals'
    GROUP BY tweet_id
), edges AS (
    SELECT tweet_id, window_start, window_end, 'not_read' AS outcome FROM coverage
    UNION ALL
    SELECT not_answered.tweet_id, horizon.last_hour, horizon.last_hour, not_answered.outcome
    FROM not_answered CROSS JOIN horizon
    UNION ALL
    SELECT
        first_hours.tweet_id,
        CASE WHEN first_hours.created_hour > horizon.first_hour THEN first_hours.created_hour ELSE horizon.first_hour END,
        CASE WHEN first_hours.created_hour > horizon.first_hour THEN first_hours.created_hour ELSE horizon.first_hour END,
        'not_read'
    FROM (
        SELECT
            tweet_id,
            TIMESTAMP_ADD(
                CAST('1970-01-01 00:00:00+00:00' AS TIMESTAMPTZ),
                CAST(FLOOR((CAST(tweet_id AS BIGINT) / 4194304.0 + 1288834974657) / 3600000) AS BIGINT),
                'HOUR'
            ) AS created_hour
        FROM not_answered
        WHERE tweet_id NOT IN (SELECT tweet_id FROM read_tweets)
    ) AS first_hours
    CROSS JOIN horizon
), spans AS (
    SELECT tweet_id, previous_end AS span_start, window_start AS span_end, outcome, NULL AS metrics, NULL AS fetched_at
    FROM (
        SELECT
            tweet_id,
            window_start,
            outcome,
            MAX(window_end) OVER (
                PARTITION BY tweet_id
                ORDER BY window_start, window_end
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS previous_end
        FROM edges
    ) AS ordered
    WHERE previous_end < window_start
    UNION ALL
    SELECT tweet_id, window_start, window_end, outcome, ',' || metrics || ',', fetched_at
    FROM coverage
    WHERE outcome <> 'ok'
), hours_of_spans AS (
    SELECT
        spans.*,
        TIMESTAMP_ADD(
            span_start,
            10000 * d5.digit + 1000 * d4.digit + 100 * d3.digit + 10 * d2.digit + d1.digit,
            'HOUR'
        ) AS period_start
    FROM spans
    INNER JOIN digits AS d5
        ON TIMESTAMP_ADD(span_start, 10000 * d5.digit, 'HOUR') < span_end
    INNER JOIN digits AS d4
        ON TIMESTAMP_ADD(span_start, 10000 * d5.digit + 1000 * d4.digit, 'HOUR') < span_end
    INNER JOIN digits AS d3
        ON TIMESTAMP_ADD(span_start, 10000 * d5.digit + 1000 * d4.digit + 100 * d3.digit, 'HOUR') < span_end
    INNER JOIN digits AS d2
        ON TIMESTAMP_ADD(span_start, 10000 * d5.digit + 1000 * d4.digit + 100 * d3.digit + 10 * d2.digit, 'HOUR')
            < span_end
    INNER JOIN digits AS d1
        ON TIMESTAMP_ADD(
            span_start, 10000 * d5.digit + 1000 * d4.digit + 100 * d3.digit + 10 * d2.digit + d1.digit, 'HOUR'
        ) < span_end
), wanted AS (
    SELECT
        tweet_id,
        period_start,
        MAX(CASE WHEN place = 1 THEN outcome END) AS outcome,
        MAX(CASE WHEN metrics IS NULL THEN 0 ELSE 1 END) = 0 AS is_not_read,
        {metrics_wanted}
    FROM (
        SELECT
            tweet_id,
            period_start,
            outcome,
            metrics,
            ROW_NUMBER() OVER (
                PARTITION BY tweet_id, period_start
                ORDER BY CASE WHEN fetched_at IS NULL THEN 1 ELSE 0 END, fetched_at DESC, outcome
            ) AS place
        FROM hours_of_spans
    ) AS placed
    GROUP BY tweet_id, period_start
), known AS (
    SELECT
        wanted.tweet_id,
        wanted.period_start,
        COUNT(hours.tweet_id) + COUNT(periods.tweet_id) AS rows_with_hour,
        {metrics_known}
    FROM wanted
    LEFT JOIN tweet_metrics AS hours
        ON hours.tweet_id = wanted.tweet_id
        AND hours.granularity = 'hour'
        AND hours.period_start = wanted.period_start
    LEFT JOIN tweet_metrics AS periods
        ON periods.tweet_id = wanted.tweet_id
        AND periods.granularity IN ('day', 'total')
        AND periods.period_start <= wanted.period_start
        AND periods.period_end > wanted.period_start
    GROUP BY wanted.tweet_id, wanted.period_start
), owners AS (
    SELECT tweet_id, MAX(owner) AS owner FROM tweet_status GROUP BY tweet_id
)
SELECT
    missing.tweet_id,
    missing.period_start,
    owners.owner,
    missing.outcome,
    CASE missing.outcome {reasons} END AS reason,
    SUBSTRING(missing.metrics, 2) AS metrics
FROM (
    SELECT
        wanted.tweet_id,
        wanted.period_start,
        wanted.outcome,
        CASE WHEN wanted.is_not_read THEN NULL ELSE {metrics_missing} END AS metrics
    FROM wanted
    INNER JOIN known ON known.tweet_id = wanted.tweet_id AND known.period_start = wanted.period_start
    WHERE NOT (wanted.is_not_read AND known.rows_with_hour > 0)
) AS missing
LEFT JOIN owners ON owners.tweet_id = missing.tweet_id
WHERE missing.metrics IS NULL OR missing.metrics <> ''
