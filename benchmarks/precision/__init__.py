"""How far engines, precisions and fast decoding are from fp32, on trained networks and real photographs."""
