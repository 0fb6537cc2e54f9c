"""The Engagement API: its rules, requests and responses. This package does not import Airflow."""
