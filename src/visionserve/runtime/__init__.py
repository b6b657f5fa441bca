"""The worker's path from bytes to answer.

    Request -wire-> what is asked -pictures-> pixels -engines-> logits -> answer -wire-> Response

`worker` is the way from the first to the last; `handlers/image_classifier.py` translates between it and
TorchServe. This package travels inside every archive. It imports torch, torchvision, Pillow, NumPy, PyYAML and the
standard library. It knows HTTP's headers and statuses, in `wire`; it knows no server, and not how archives are
built.
"""
