"""Pictures with known answers, and how a network's answers are held against them."""
