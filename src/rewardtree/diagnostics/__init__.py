"""Where the error comes from, one file a failure mode."""
