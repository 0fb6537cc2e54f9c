"""Airflow with CeleryExecutor on PostgreSQL, Redis and an object store, as on a cluster of several machines."""
