"""Networks and pictures for the demo: colours, whose weights are made here, and photographs."""
