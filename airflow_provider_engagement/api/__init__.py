"""The Engagement API: its rules, its requests and its answers. Imports nothing of Airflow."""
