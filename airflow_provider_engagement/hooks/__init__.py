"""Hooks: Airflow connections made into clients."""
