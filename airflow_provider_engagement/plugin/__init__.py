"""The page in Airflow: an Airflow plugin, and the application that serves the page and its data."""
