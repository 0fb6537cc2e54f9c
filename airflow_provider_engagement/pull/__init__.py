"""One pull, without Airflow: fetch what is missing, keep the responses, assemble the tables, write the manifest."""
