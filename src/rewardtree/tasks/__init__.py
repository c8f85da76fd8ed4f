"""Tasks, the exhibits that evaluators see, claims about them, and the meter that counts readings."""
