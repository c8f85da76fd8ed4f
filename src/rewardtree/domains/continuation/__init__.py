"""Going on with a passage of a book: a language model writes, and readers alone judge."""
