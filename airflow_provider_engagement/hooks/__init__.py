"""Hooks: clients made from Airflow connections."""
