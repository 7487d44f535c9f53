"""What every app shares: values, dialects, the pipeline, the sockets."""
