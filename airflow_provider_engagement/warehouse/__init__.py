"""The warehouse: loads a dataset into a database with dlt, and creates views there. Imports nothing of Airflow."""
