"""Operators: pulls of engagement metrics as Airflow tasks."""
