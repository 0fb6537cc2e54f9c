"""X API v2: Tweets, their authors, and the metrics that any app can read. This package does not import Airflow."""
