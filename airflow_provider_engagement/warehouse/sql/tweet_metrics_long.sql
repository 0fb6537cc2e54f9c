{long_rows}
