"""Processes that decode pictures, so that one which crashes, hangs or swells its decoder costs its request alone.

    worker --bytes--> decoder --uint8 [crop, crop, 3]--> worker
                         ^ fork
                      template

`pool` and `process` are the worker's side. `template` is a process that has imported what decoding needs and forks
decoders, one for each core and a fresh one for each that died: in milliseconds, where a start would take seconds.
`decoder` is what runs in a decoder, and `limits` what it may use. No network and no answer is ever in these
processes.
"""
