"""What a DAG author writes, turned into typed values."""
