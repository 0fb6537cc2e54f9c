"""From an Airflow connection to credentials and options."""
