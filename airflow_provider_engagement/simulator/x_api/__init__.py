"""X API v2, served from the same world as the Engagement API: Tweets, users, and their metrics."""
