"""What is told to monitoring beside the metrics: spans of the work on a request."""
