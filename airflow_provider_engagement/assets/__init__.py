"""Assets: the tables of datasets, as Airflow schedules by them."""
