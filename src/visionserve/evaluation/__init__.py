"""Pictures whose classes are known, and how a model's answers to them are judged."""
