"""Kill pulls and disturb what they depend on, and compare the dataset with the truth afterwards."""
