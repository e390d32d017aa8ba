"""The command line: read, call a pipeline, write."""
