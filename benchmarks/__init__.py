"""visionserve beside its peers: one command, one run, every answer checked.

corpus -> contenders started -> rounds of traffic, interleaved -> results (JSON) -> table, chart, README
"""
