"""Who gives preferences: people, simulated bounded evaluators, language-model judges."""
