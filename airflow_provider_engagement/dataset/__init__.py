"""The dataset: stored responses, the tables made of them, and the manifest of each pull. Imports nothing of Airflow."""
